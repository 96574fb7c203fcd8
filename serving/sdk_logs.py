"""What OpenTelemetry's SDK says in logs, less of it: else a collector that is away fills them.

A warning a minute of each of its loggers and levels, with how many were held back since.
Of an exception only the kind: what is around an export may hold the collector's credentials.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

_ROOT = "opentelemetry"
_SAY_SECONDS = 60.0
_MAX_CHARS = 300


class Sparing(logging.Handler):
    """Says the first record of a minute, and counts the others. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._counting = threading.Lock()
        self._said_at: dict[tuple[str, int], float] = {}
        self._held_back: dict[tuple[str, int], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record, or hold it back."""
        key = record.name, record.levelno
        now = self._clock()
        with self._counting:
            if now - self._said_at.get(key, float("-inf")) < _SAY_SECONDS:
                self._held_back[key] = self._held_back.get(key, 0) + 1
                return
            self._said_at[key] = now
            held_back = self._held_back.pop(key, 0)
        error = record.exc_info[1] if record.exc_info else None
        log.warning(  # an error of the SDK's too: what is lost is telemetry
            "telemetry",
            said=record.getMessage()[:_MAX_CHARS],
            by=record.name,
            held_back=held_back,
            cause=None if error is None else type(error).__name__,
        )


def spare(clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """Have the SDK speak so; return what ends that."""
    logger, handler = logging.getLogger(_ROOT), Sparing(clock)
    logger.addHandler(handler)
    logger.propagate = False

    def end() -> None:
        logger.removeHandler(handler)
        logger.propagate = True

    return end
