"""A clock that can be moved."""

import asyncio
from datetime import UTC, datetime, timedelta

from emulator.clock import Clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_moving_the_clock_wakes_who_waits() -> None:
    """Whoever waits for a moment goes on when the clock is moved there, and not before."""
    clock = Clock(wall=lambda: NOW)
    waiting = asyncio.create_task(clock.wait_until(NOW + timedelta(hours=1)))
    await asyncio.sleep(0)
    clock.advance(timedelta(minutes=59))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(timedelta(minutes=1))
    await asyncio.wait_for(waiting, timeout=5)


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    """Waiting for the past returns at once."""
    await Clock(wall=lambda: NOW).wait_until(NOW)


def test_reset_returns_to_the_wall_clock() -> None:
    """However far it was moved, a reset clock shows the wall clock's time."""
    clock = Clock(wall=lambda: NOW)
    clock.advance(timedelta(days=1))
    assert clock.now() == NOW + clock.offset == NOW + timedelta(days=1)
    clock.reset()
    assert clock.now() == NOW
