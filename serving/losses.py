"""Counts what had to be dropped, and speaks of it without becoming a flood itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from serving import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

_SAY_SECONDS = 60.0


class Losses:
    """Speaks of losses at most once a minute, and when they are over. For any thread."""

    def __init__(
        self, loser: str, lost: str, *, metric: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Say that `loser` drops `lost`, and count them as `metric`; `clock` counts seconds."""
        self._metric = metric
        metrics.RECORDS_DROPPED.add(0, log=metric)
        self._drops, self._keeps = f"{loser} drops {lost}", f"{loser} keeps {lost} again"
        self._ends = f"{loser} ends"
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._said_at = float("-inf")
        self._said = False

    def add(self, cause: str, count: int = 1) -> None:
        """Count what was dropped, and say so if it is time."""
        metrics.RECORDS_DROPPED.add(count, log=self._metric)
        with self._lock:
            self._count += count
            dropped, due = self._count, self._due()
            self._said = self._said or due
        if due:
            log.warning(self._drops, dropped=dropped, cause=cause)

    def none(self) -> None:
        """Note that something was kept."""
        if not self._count:
            return
        with self._lock:
            if not self._said and not self._due():
                return
            dropped, self._count, self._said = self._count, 0, False
        log.info(self._keeps, dropped=dropped)

    def end(self) -> None:
        """Say in the end what was not spoken of yet."""
        with self._lock:
            dropped, self._count = self._count, 0
        if dropped:
            log.warning(self._ends, dropped=dropped)

    def _due(self) -> bool:
        now = self._clock()
        if now - self._said_at < _SAY_SECONDS:
            return False
        self._said_at = now
        return True
