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

from node_tools import SOURCES, node_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parents[1] / "integration"


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


def install_node_sdk() -> Path:
    """Return the program that talks through the official JavaScript SDK."""
    return Path(shutil.copy(SOURCES / "connect.mjs", node_tools()))


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
