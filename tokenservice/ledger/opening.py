"""Opens the ledger that the settings name."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from serving.redis.connect import RedisOptions, open_redis
from tokenservice.ledger.apart import ApartSink, ApartSource
from tokenservice.ledger.jsonl import JsonlSink, JsonlSource
from tokenservice.ledger.ledger import Ledger
from tokenservice.ledger.names import Names
from tokenservice.ledger.recorder import Recorder
from tokenservice.ledger.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving.clock import Clock
    from tokenservice.ledger.ports import Sink, Source
    from tokenservice.ledger.settings import LedgerSettings

log = structlog.get_logger(__name__)

_MEGABYTE = 1_000_000
_PATIENCE_MS = 1_000
"""Nobody waits for the ledger, so its server has longer than the store's."""
_SEARCH_PATIENCE_MS = 10_000
_CONNECTIONS = 2


@asynccontextmanager
async def open_recorder(settings: LedgerSettings, clock: Clock) -> AsyncIterator[Recorder]:
    """Yield what requests are recorded by; in the end, wait until their rows are kept.

    Raises:
        StartError: The file cannot be written.

    """
    async with AsyncExitStack() as stack:
        sink: Sink
        if settings.ledger_path is not None:
            sink = ApartSink(*(_file(settings, path, clock) for path in _paths(settings)))
        elif settings.ledger_stream is not None:
            sink = ApartSink(*await _streams(stack, settings, _PATIENCE_MS))
        else:
            log.warning("no ledger is kept", hint="TOKENSERVICE_LEDGER names a file for one")
            yield Recorder(None, Names(b""), clock)
            return
        ledger = await stack.enter_async_context(
            Ledger(
                sink,
                capacity=settings.ledger_max_waiting,
                # A stop without patience for calls has some for what they left behind.
                close_seconds=max(1.0, settings.drain_seconds),
            )
        )
        required = settings.on_ledger_failure == "refuse"
        recorder = Recorder(ledger, names(settings), clock, required=required)
        stack.push_async_callback(recorder.drain)
        yield recorder


@asynccontextmanager
async def open_source(settings: LedgerSettings, needle: bytes = b"") -> AsyncIterator[Source]:
    """Yield what rows are read from; where that is cheaper, only those that have `needle`.

    Raises:
        ValueError: The settings name no ledger.

    """
    async with AsyncExitStack() as stack:
        if settings.ledger_path is not None:
            tokens, refusals = _paths(settings)
            # Who keeps files for longer may keep those of tokens alone.
            yield ApartSource(
                JsonlSource(tokens, needle), JsonlSource(refusals, needle, optional=True)
            )
        elif settings.ledger_stream is not None:
            yield ApartSource(*await _streams(stack, settings, _SEARCH_PATIENCE_MS))
        else:
            raise ValueError("there is no ledger")


def names(settings: LedgerSettings) -> Names:
    """Return what names are hashed by.

    Raises:
        ValueError: There is no key.

    """
    if settings.hash_key is None:
        raise ValueError("TOKENSERVICE_HASH_KEY: must be set, to what it is for the service")
    return Names(settings.hash_key.get_secret_value().encode())


def _paths(settings: LedgerSettings) -> tuple[Path, Path]:
    path = settings.ledger_path or Path()
    return path, path.with_name(f"{path.stem}-refusals{path.suffix}")


def _file(settings: LedgerSettings, path: Path, clock: Clock) -> JsonlSink:
    return JsonlSink(
        path,
        clock,
        max_bytes=settings.ledger_max_mb * _MEGABYTE,
        backups=settings.ledger_backups,
        retention_days=settings.ledger_retention_days,
    )


async def _streams(
    stack: AsyncExitStack, settings: LedgerSettings, patience_ms: int
) -> tuple[Stream, Stream]:
    options = RedisOptions(
        connect_timeout_ms=patience_ms, socket_timeout_ms=patience_ms, max_connections=_CONNECTIONS
    )
    client = await stack.enter_async_context(open_redis(settings.ledger_stream or "", options))
    tokens, refusals = (
        Stream(
            client,
            f"{settings.store_prefix}:{name}",
            retention_days=settings.ledger_retention_days,
            max_rows=settings.ledger_max_rows,
            timeout_ms=2 * patience_ms,
        )
        for name in ("ledger", "ledger:refusals")
    )
    return tokens, refusals
