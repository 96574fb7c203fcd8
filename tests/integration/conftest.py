"""Real processes, each test module on ports and in a directory of its own."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sdks import install_node_sdk

from stack.layout import Layout

MakeLayout = Callable[..., Layout]


@pytest.fixture(scope="session")
def node() -> Path:
    """Return the JavaScript client program, beside the official SDK."""
    return install_node_sdk()


@pytest.fixture(scope="module")
def make_layout() -> Iterator[MakeLayout]:
    """Return what lays out a stack of its own, with the variables it is given."""
    directories: list[str] = []

    def make(**variables: str) -> Layout:
        # A Unix socket's path is at most 107 characters: pytest's own would not do.
        directories.append(tempfile.mkdtemp(prefix="live-"))
        ports = dict(
            zip(
                (
                    "GATEWAY_PORT",
                    "TOKENSERVICE_PORT",
                    "GEMINI_LIVE_EMULATOR_PORT",
                    "GEMINI_LIVE_EMULATOR_TLS_PORT",
                ),
                map(str, free_ports(4)),
                strict=True,
            )
        )
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GEMINI_", "OTEL_"))}
        return Layout.of(Path(directories[-1]), inherited | ports | variables)

    yield make
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, no two the same."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
