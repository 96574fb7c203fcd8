"""The JavaScript tools of the tests, the official SDK among them, by the lock file."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "integration" / "node"
BUILD = Path(__file__).parents[2] / "build" / "node"

_LOCKED = ("package.json", "package-lock.json")


def node_major() -> int:
    """Return Node's major version, 0 if there is none."""
    if shutil.which("node") is None:
        return 0
    told = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    return int(told.stdout.lstrip("v").split(".")[0])


def node_tools() -> Path:
    """Return the directory in which the tools are installed: it has `node_modules`."""
    if node_major() < 20 or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Node 20 or later, with npm")
        pytest.skip("there is no Node 20 or later; CI has it")
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    with BUILD.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        _install()
    return BUILD


def _install() -> None:
    wanted = b"".join((SOURCES / name).read_bytes() for name in _LOCKED)
    installed = BUILD / "installed"
    if installed.exists() and installed.read_bytes() == wanted:
        return
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    for name in _LOCKED:
        shutil.copy(SOURCES / name, BUILD)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=BUILD, check=True, timeout=110)
    installed.write_bytes(wanted)
