"""What one process remembers of proofs."""

import asyncio

import pytest

from serving.stores import StoreUnavailable
from tokenservice.errors import IdentityUnavailable, PolicyUnavailable
from tokenservice.identity.replays import MemoryReplays

NOW = 1_767_225_600_000


class Clock:
    """Tells the same time until it is moved."""

    now = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


async def test_a_name_is_the_first_once(clock: Clock) -> None:
    """Until its time is over, and then it is again."""
    replays = MemoryReplays(clock)
    assert await replays.first(b"a", 1000)
    assert await replays.first(b"b", 1000)
    clock.now += 999
    assert not await replays.first(b"a", 1000)
    clock.now += 1
    assert await replays.first(b"a", 1000)


async def test_a_repeat_does_not_lengthen_the_time(clock: Clock) -> None:
    """A name is remembered from its first time on."""
    replays = MemoryReplays(clock)
    assert await replays.first(b"a", 1000)
    clock.now += 500
    assert not await replays.first(b"a", 9000)
    clock.now += 500
    assert await replays.first(b"a", 1000)


async def test_times_may_differ(clock: Clock) -> None:
    """What is remembered longer does not keep what is remembered shorter, nor goes with it."""
    replays = MemoryReplays(clock, max_entries=2)
    assert await replays.first(b"long", 9000)
    assert await replays.first(b"short", 1000)
    clock.now += 1000
    assert await replays.first(b"short", 1000)
    assert not await replays.first(b"long", 1000)


async def test_a_full_memory_lets_nobody_in(clock: Clock) -> None:
    """It drops nothing before its time, knows what it has, and fills again after."""
    replays = MemoryReplays(clock, max_entries=2)
    for name in (b"a", b"b"):
        assert await replays.first(name, 1000)
    with pytest.raises(IdentityUnavailable) as caught:
        await replays.first(b"c", 1000)
    assert isinstance(caught.value, PolicyUnavailable)
    assert isinstance(caught.value.__cause__, StoreUnavailable)
    assert not await replays.first(b"a", 1000)
    assert len(replays) == 2
    clock.now += 1000
    assert await replays.first(b"c", 1000)
    assert len(replays) == 1


async def test_of_many_at_once_one_is_the_first(clock: Clock) -> None:
    """However many repeat a proof at the same instant."""
    replays = MemoryReplays(clock)
    answers = await asyncio.gather(*(replays.first(b"a", 1000) for _ in range(50)))
    assert answers.count(True) == 1
