"""Starts the emulator: `gemini-live-emulator`, or `python -m emulator`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING

from emulator.options import PROGRAM, Options, OptionsError, parse_options
from emulator.server import CannotListen, EmulatorServer

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM, and return the exit code."""
    try:
        options = parse_options(argv)
    except OptionsError as error:
        return _fail(2, error)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(levelname)s %(name)s %(message)s"
    )
    try:
        asyncio.run(_serve(options))
    except CannotListen as error:
        return _fail(1, error)
    return 0


async def _serve(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with EmulatorServer(options) as emulator:
        print(_greeting(emulator), flush=True)
        await stop.wait()


def _greeting(emulator: EmulatorServer) -> str:
    ready = f"Gemini Live emulator ready: {emulator.base_url}"
    if emulator.tls_base_url:
        return f"{ready} and {emulator.tls_base_url} (SSL_CERT_FILE={emulator.ca_file})"
    return ready


def _fail(code: int, error: Exception) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
