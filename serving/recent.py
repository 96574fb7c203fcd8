"""How long things took lately: a histogram that slides, in bounded memory, without I/O.

Durations are counted in buckets whose bounds grow by a fifth each, so that what is
told of one is within 10 % of it, from 10 µs to 100 s; what is beyond counts as the
nearest of these. The window moves in steps of five seconds.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from serving.clock import Clock

    Timing = Callable[[], AbstractContextManager[Any]]
    """Makes what measures the block that it is put around."""

WINDOW_SECONDS = 60
_SLICES = 12
_SLICE_MS = WINDOW_SECONDS * 1000 // _SLICES
_GROWTH = 1.2
_SHORTEST = 1e-5
_LONGEST = 100.0
_SCALE = 1 / math.log(_GROWTH)
_BUCKETS = math.ceil(math.log(_LONGEST / _SHORTEST) * _SCALE)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How long `count` things took; times in seconds, 0 where there was nothing."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0


class RecentDurations:
    """Remembers durations for a minute: those of the last 55 to 60 seconds."""

    def __init__(self, clock: Clock) -> None:
        """Tell by `clock` what is old."""
        self._clock = clock
        self._slices = [[0] * _BUCKETS for _ in range(_SLICES)]
        self._at = clock() // _SLICE_MS

    def took(self, seconds: float) -> None:
        """Count something that took so many seconds."""
        self._slices[self._move()][_bucket(seconds)] += 1

    def timing(self) -> Stopwatch:
        """Return what counts how long the block took that it is put around, however it ended."""
        return Stopwatch(self.took)

    def quantiles(self) -> Quantiles:
        """Return how long things took in the last minute."""
        self._move()
        counts = [sum(column) for column in zip(*self._slices, strict=True)]
        count = sum(counts)
        if not count:
            return Quantiles()
        return Quantiles(count, _at_rank(counts, count * 0.5), _at_rank(counts, count * 0.99))

    def _move(self) -> int:
        """Forget what is too old; return the place of the slice that is now."""
        now = self._clock() // _SLICE_MS
        if now > self._at:
            for at in range(max(self._at + 1, now - _SLICES + 1), now + 1):
                self._slices[at % _SLICES] = [0] * _BUCKETS
            self._at = now
        return self._at % _SLICES


class Stopwatch:
    """Tells how many seconds a block took, however it ended."""

    __slots__ = ("_started", "_took")

    def __init__(self, took: Callable[[float], None]) -> None:
        self._took = took
        self._started = 0.0

    def __enter__(self) -> None:
        """Begin."""
        self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._took(time.perf_counter() - self._started)


def _bucket(seconds: float) -> int:
    if seconds <= _SHORTEST:
        return 0
    return min(int(math.log(seconds / _SHORTEST) * _SCALE), _BUCKETS - 1)


def _at_rank(counts: list[int], rank: float) -> float:
    """Return the middle of the bucket with the smallest value that `rank` values do not exceed."""
    below = 0
    for bucket, count in enumerate(counts):
        below += count
        if below >= rank:
            return float(_SHORTEST * _GROWTH ** (bucket + 0.5))
    raise AssertionError("the rank is not above the sum")
