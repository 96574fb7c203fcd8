"""A process from start to stop: settings, logs, telemetry, signals, exit code."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn, TypeVar

import structlog

from serving import logs, measuring, otel_variables, settings as settings_module, telemetry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serving.settings import Settings

S = TypeVar("S", bound="Settings")

EXIT_CANNOT_START = 1
EXIT_BAD_SETTING = 2
_FLUSH_SECONDS = 2.0


class StartError(Exception):
    """Why a process cannot start, in one line that says what to do."""


def run(
    name: str,
    settings_type: type[S],
    serve: Callable[[S, asyncio.Event], Awaitable[None]],
) -> NoReturn:
    """Serve until SIGTERM or SIGINT sets the event, then exit 0.

    `serve` returns once it has drained. A setting that cannot be read exits 2,
    a start that fails exits 1, each with one line on standard error.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory holds keys and tokens
    try:
        settings_module.refuse_foreign_secrets(settings_type)
        settings = settings_module.load(settings_type)
        logs.configure(
            name,
            settings.log_level,
            settings.log_format,
            [*settings.secrets, *otel_variables.secrets(os.environ)],
            settings.debug_areas,
        )
        logs.catch_all()
        judgement = telemetry.Judgement(
            settings.trace_slow_ms, settings.trace_kept_per_second, settings.heeds_sampling
        )
        flush = telemetry.configure(name, judgement)
    except (settings_module.SettingsError, telemetry.TelemetryError) as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - logs may not exist yet
        sys.exit(EXIT_BAD_SETTING)
    try:
        asyncio.run(_until_signal(settings, serve))
    except StartError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - one plain line
        sys.exit(EXIT_CANNOT_START)
    except settings_module.SettingsError as error:  # of a file that a setting names
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - likewise
        sys.exit(EXIT_BAD_SETTING)
    finally:
        _within(_FLUSH_SECONDS, flush)
    structlog.get_logger(__name__).info("stopped")
    sys.exit(0)


async def _until_signal(settings: S, serve: Callable[[S, asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    delay = asyncio.create_task(measuring.watch_loop())
    try:
        await serve(settings, stop)
    finally:
        delay.cancel()


def _within(seconds: float, flush: Callable[[], None]) -> None:
    """Flush, but let a collector that is away not hold up the exit."""
    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    thread.join(seconds)
