"""A Unix socket is its owner's: no certificate is asked for, the mode says who may."""

import asyncio
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tls_server import greet, tls_server

NOBODY = 65534
CONNECT = f"""if True:
    import os, socket, sys
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="live-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_a_socket_is_for_its_owner(directory: Path, umask: int) -> None:
    """Its mode is 0600, whatever the umask."""
    before = os.umask(umask)
    try:
        async with tls_server(None, unix=f"unix:{directory}/s.sock"):
            assert stat.S_IMODE((directory / "s.sock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.skipif(
    "CI" not in os.environ and os.geteuid() != 0, reason="only root can become another user"
)
async def test_another_user_is_refused(directory: Path) -> None:
    """By the kernel; and with a laxer mode it would not be."""
    socket = directory / "s.sock"
    async with tls_server(None, unix=f"unix:{socket}"):
        assert await greet(f"unix:{socket}", None)
        assert "PermissionError" in await connected_as_nobody(socket)
        socket.chmod(0o666)
        assert await connected_as_nobody(socket) == ""


async def connected_as_nobody(socket: Path) -> str:
    """Connect as another user, and return what is wrong with that."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONNECT, str(socket), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return errors.decode()
