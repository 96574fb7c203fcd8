"""Gemini's emulator, for the length of a test."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from servers_process import HOST, free_port, spawn
from servers_waiting import until

from stack import ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "emulator-key"


@asynccontextmanager
async def emulator(place: Path) -> AsyncIterator[str]:
    """Run Gemini's emulator, and return its URL."""
    port = free_port()
    options = [f"--port={port}", "--tls-port=-1", "--log-level=warning", f"--api-key={KEY}"]
    process = spawn([sys.executable, "-m", "emulator", *options], place / "emulator.log")
    try:
        url = f"http://{HOST}:{port}"
        await until(ready.answering(f"{url}/healthz"), 20, "the emulator is ready")
        yield url
    finally:
        process.kill()
        process.wait()
