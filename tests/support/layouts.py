"""Stacks of their own for tests: each on ports and in a directory that nobody else has."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stack.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORTS = (
    "GATEWAY_PORT",
    "TOKENSERVICE_PORT",
    "GEMINI_LIVE_EMULATOR_PORT",
    "GEMINI_LIVE_EMULATOR_TLS_PORT",
)
_UNMEASURED = {"OTEL_METRICS_EXPORTER": "none"}
"""Ports to be scraped at are looked for at the start, and many stacks may start at a time."""


@contextmanager
def laid_out(**variables: str) -> Iterator[Layout]:
    """Lay out a stack with the variables that its user sets; its directory goes at the end."""
    # A Unix socket's path is at most 107 characters: pytest's own would not do.
    directory = tempfile.mkdtemp(prefix="live-")
    ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GEMINI_", "OTEL_"))}
    try:
        yield Layout.of(Path(directory), inherited | ports | _UNMEASURED | variables)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, no two the same."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
