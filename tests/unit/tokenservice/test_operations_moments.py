"""What is counted of the service at work, and what of it each watcher is told."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from policy_server import NOW, StillClock

from tokenservice.issuer import IssuedToken
from tokenservice.operations.activity import Activity
from tokenservice.operations.watching import MAX_WATCHERS, TooManyWatchers, Watching
from tokenservice.policy_port import Quota, Usage
from tokenservice.token import EphemeralToken, Lifetime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tokenservice.operations.watching import Moment

LONG = 3_600.0


@dataclass
class Load:
    """How busy the process is."""

    taken: int = 3
    capacity: int = 7


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def activity(clock: StillClock) -> Activity:
    """Return what counts."""
    return Activity(clock)


@pytest.fixture
def stop() -> asyncio.Event:
    """Return what ends all watching."""
    return asyncio.Event()


@pytest.fixture
def watching(activity: Activity, clock: StillClock, stop: asyncio.Event) -> Watching:
    """Return what shows moments without a pause."""
    return Watching(activity, Load(), lambda: {"gemini": "SERVING"}, clock, stop, interval=0.0)


def issued(*, repeated: bool = False) -> IssuedToken:
    """Return a token as it goes to its caller."""
    usage = Usage(1, 1, 1, None, Quota(1, 1, 0, 0), ())
    token = EphemeralToken("auth_tokens/1")
    return IssuedToken(token, Lifetime(NOW, NOW), usage, "d", repeated=repeated)


async def following(moments: AsyncGenerator[Moment, None]) -> Moment:
    """Return the next moment."""
    async with asyncio.timeout(20):
        return await anext(moments)


async def test_who_comes_late_is_told_nothing_of_before(
    activity: Activity, watching: Watching, clock: StillClock
) -> None:
    """The first moment has no counts, and whatever is told of now."""
    activity.delivered(issued())
    activity.refuse("COOLDOWN")
    clock.now += 1
    async with aclosing(watching.moments()) as moments:
        first = await following(moments)
    assert (first.at, first.period_ms, first.started_at) == (NOW + 1, 0, NOW)
    assert (first.issued, first.replayed, dict(first.refused)) == (0, 0, {})
    assert (first.active, first.capacity) == (3, 7)
    assert first.dependencies == {"gemini": "SERVING"}


async def test_the_first_period_is_nothing_however_long_the_clock_is_asked(
    activity: Activity, stop: asyncio.Event
) -> None:
    """A clock that goes on between two looks at it makes no period of nothing."""
    ticking = itertools.count(NOW)
    watching = Watching(activity, Load(), dict, lambda: next(ticking), stop)
    async with aclosing(watching.moments()) as moments:
        assert (await following(moments)).period_ms == 0


async def test_who_is_slow_is_told_all_of_it_at_once(
    activity: Activity, watching: Watching, clock: StillClock
) -> None:
    """Nothing is kept for a watcher: one moment has the counts of however long it was away."""
    async with aclosing(watching.moments()) as slow, aclosing(watching.moments()) as quick:
        await following(slow)
        await following(quick)
        for _ in range(100):
            clock.now += 1_000
            activity.delivered(issued())
            activity.delivered(issued(repeated=True))
            activity.refuse("A")
            told = await following(quick)
            assert (told.period_ms, told.issued, told.replayed) == (1_000, 1, 1)
        told = await following(slow)
        assert (told.period_ms, told.issued, told.replayed) == (100_000, 100, 100)
        assert dict(told.refused) == {"A": 100}
        told = await following(slow)
        assert (told.period_ms, told.issued, dict(told.refused)) == (0, 0, {})


async def test_reasons_are_few(activity: Activity) -> None:
    """Whatever reasons there come to be, beyond 64 they are counted as one."""
    for number in range(1_000):
        activity.refuse(f"REASON_{number}")
    assert len(activity.refused) == 65
    assert activity.refused["_OTHER"] == 1_000 - 64
    assert activity.refused["REASON_0"] == 1


async def test_a_place_is_free_however_its_watcher_left(
    watching: Watching, stop: asyncio.Event
) -> None:
    """A place is taken with the first moment, and given back at the end, or by leaving."""
    for _ in range(3):
        async with aclosing(watching.moments()) as moments:
            await following(moments)
            others = [watching.moments() for _ in range(MAX_WATCHERS - 1)]
            for other in others:
                await following(other)
            with pytest.raises(TooManyWatchers):
                await following(watching.moments())
            for other in others:
                await other.aclose()
    stop.set()
    async with asyncio.timeout(20):
        for _ in range(3 * MAX_WATCHERS):
            assert len([moment async for moment in watching.moments()]) == 1


async def test_its_time_is_the_end_of_watching(
    activity: Activity, clock: StillClock, stop: asyncio.Event
) -> None:
    """After the longest that one may watch there is no further moment."""
    load = Load()
    short = Watching(activity, load, dict, clock, stop, interval=0.0, lasting=0.0)
    async with asyncio.timeout(20):
        assert len([moment async for moment in short.moments()]) == 1


async def test_a_stop_ends_the_longest_interval(
    activity: Activity, clock: StillClock, stop: asyncio.Event
) -> None:
    """Who waits for the next moment hears of the stop at once."""
    slow = Watching(activity, Load(), dict, clock, stop, interval=LONG, lasting=LONG)
    async with aclosing(slow.moments()) as moments:
        await following(moments)
        waiting = asyncio.ensure_future(anext(moments, None))
        await asyncio.sleep(0)
        stop.set()
        async with asyncio.timeout(20):
            assert await waiting is None


def test_each_process_has_its_own_name(clock: StillClock) -> None:
    """By it a watcher sees that it is told of another process now."""
    assert Activity(clock).instance != Activity(clock).instance
