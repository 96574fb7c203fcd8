"""Time, as something that is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Tells the time in milliseconds since the Unix epoch."""


def steady_clock() -> Clock:
    """Return a wall clock that never steps back while the process lives.

    It is anchored to the wall once and advances with the monotonic clock, so a
    correction of the system's time can neither shorten nor lengthen a window.
    """
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset) // 1_000_000
