"""Google's SDKs as programs of their own: how to run them, and what they report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parents[1] / "integration"
NODE_SOURCES = HERE / "node"
NODE_BUILD = HERE.parents[1] / "build" / "node"


@dataclass(frozen=True)
class Addresses:
    """Where an emulator process serves, and whom to trust for its TLS."""

    http: str
    https: str
    ca_file: str


ANSWERED = {"connected": True, "text": "You said: hello", "transcript": "", "audioBytes": 0}
SPOKEN = {"connected": True, "text": "", "transcript": "You said: hello", "audioBytes": 9600}
REFUSED = {
    "connected": False,
    "text": "",
    "transcript": "",
    "audioBytes": 0,
    "code": 1011,
    "reason": "Token has been used too many times",
}


def node_major() -> int:
    """Return Node's major version, 0 if there is none."""
    if shutil.which("node") is None:
        return 0
    told = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    return int(told.stdout.lstrip("v").split(".")[0])


def install_node_sdk() -> Path:
    """Return where the official JavaScript SDK is installed, by the lock file."""
    if node_major() < 20 or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Node 20 or later, with npm")
        pytest.skip("there is no Node 20 or later; CI has it")
    sources = ("package.json", "package-lock.json")
    wanted = [(NODE_SOURCES / name).read_bytes() for name in sources]
    installed = NODE_BUILD / "installed"
    if not installed.exists() or installed.read_bytes() != b"".join(wanted):
        shutil.rmtree(NODE_BUILD, ignore_errors=True)
        NODE_BUILD.mkdir(parents=True)
        for name in sources:
            shutil.copy(NODE_SOURCES / name, NODE_BUILD)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=NODE_BUILD, check=True, timeout=110)
        installed.write_bytes(b"".join(wanted))
    shutil.copy(NODE_SOURCES / "connect.mjs", NODE_BUILD)
    return NODE_BUILD / "connect.mjs"


def run(command: list[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Run one of the client programs and return what it reports."""
    done = subprocess.run(
        [*command, "hello"],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def with_python(emulator: Addresses, token: str, version: str) -> dict[str, Any]:
    """Talk through the Python SDK, which insists on TLS."""
    variables = {
        "LIVE_TOKEN": token,
        "LIVE_BASE_URL": emulator.https,
        "LIVE_API_VERSION": version,
        "SSL_CERT_FILE": emulator.ca_file,
        "NO_PROXY": "127.0.0.1",
    }
    return run([sys.executable, str(HERE / "sdk_client.py")], variables)


def with_node(node: Path, emulator: Addresses, token: str, version: str) -> dict[str, Any]:
    """Talk through the JavaScript SDK."""
    variables = {
        "LIVE_TOKEN": token,
        "LIVE_BASE_URL": emulator.http,
        "LIVE_API_VERSION": version,
    }
    return run(["node", str(node)], variables)
