"""One wheel: with only its own extra, each role installs small and starts."""

import asyncio
import json
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.layout import Layout

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "policy": "policy",
    "tokenservice": "tokenservice",
    "gateway": "gateway",
    "emulator": "gemini-live-emulator",
}
FOREIGN = {
    "policy": {"google-genai", "starlette", "uvicorn", "aiohttp", "pyjwt"},
    "tokenservice": {"starlette", "uvicorn", "trustme"},
    "gateway": {"google-genai", "aiohttp", "pyjwt", "trustme"},
    "emulator": {"google-genai", "grpcio", "starlette", "opentelemetry-sdk"},
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the tree as it is."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(directory)]
    subprocess.run([*command, str(ROOT)], check=True)
    return next(directory.glob("*.whl"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", SCRIPTS)
async def test_a_role_starts_from_its_own_extra(
    role: str, wheel: Path, tmp_path: Path, make_layout: Callable[..., Layout]
) -> None:
    """With only its extra installed, a role's script serves; the others' libraries are absent."""
    bin_ = await asyncio.to_thread(install, role, wheel, tmp_path / "venv")
    listed = subprocess.run(  # noqa: ASYNC221 - nothing else is going on
        [*pip(bin_.parent), "list", "--format=json"], check=True, capture_output=True
    )
    installed = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert not installed & FOREIGN[role]

    layout = make_layout()
    layout.prepare()
    program = next(program for program in layout.programs if program.name == role)
    process = await asyncio.create_subprocess_exec(
        bin_ / SCRIPTS[role], env=program.environment, cwd=tmp_path
    )
    async with asyncio.timeout(30):
        await listening(layout, role, process)
    process.terminate()
    assert await process.wait() == 0


def pip(directory: Path) -> list[str]:
    """Return the command of our own pip for the venv at `directory`, which needs none."""
    return [sys.executable, "-m", "pip", "--python", str(directory), "--disable-pip-version-check"]


def install(role: str, wheel: Path, directory: Path) -> Path:
    """Install one role into a venv of its own, and return where its scripts are."""
    venv.create(directory)
    command = [*pip(directory), "install", "--quiet", "--no-compile"]
    what = f"gemini-live-token[{role}] @ {wheel.as_uri()}"
    subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), what], check=True)
    return directory / "bin"


async def listening(layout: Layout, role: str, process: asyncio.subprocess.Process) -> None:
    """Wait until a role takes connections."""
    ports = {name: port.number for name, port in layout.ports.items()}
    while True:
        assert process.returncode is None, f"{role} ended"
        try:
            if role == "policy":
                path = layout.policy_target.removeprefix("unix:")
                _, writer = await asyncio.open_unix_connection(path)
            else:
                _, writer = await asyncio.open_connection(layout.host, ports[role])
        except OSError:
            await asyncio.sleep(0.05)  # another process's start, which nothing announces
        else:
            writer.close()
            return
