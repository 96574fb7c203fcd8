"""Time that can be moved, so that nobody sleeps to see something expire."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The wall clock plus an offset; moving the offset wakes whoever waits."""

    def __init__(self, wall: Callable[[], datetime] = _utc_now) -> None:
        self._wall = wall
        self._offset = timedelta()
        self._moved = asyncio.Event()

    @property
    def offset(self) -> timedelta:
        """How far this clock is ahead of the wall clock."""
        return self._offset

    def now(self) -> datetime:
        """Return the emulated time, in UTC."""
        return self._wall() + self._offset

    def advance(self, by: timedelta) -> None:
        """Move forward (or, with a negative duration, back)."""
        self._set(self._offset + by)

    def reset(self) -> None:
        """Return to the wall clock."""
        self._set(timedelta())

    async def wait_until(self, moment: datetime) -> None:
        """Return once the clock shows `moment`, by waiting or by being moved."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                continue

    def _set(self, offset: timedelta) -> None:
        self._offset = offset
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
