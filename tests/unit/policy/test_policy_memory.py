"""The store of one process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from policy.account import Sealed
from policy.decisions import (
    Attempt,
    Blocked,
    Committed,
    Decision,
    Lost,
    Refused,
    Release,
    Reserved,
    Stats,
    Usage,
)
from policy.limits import DAY_MS, HOUR_MS, Limits
from policy.memory import MemoryStore
from policy.rules import Rule
from policy.standing import Blocking, Offender, Party
from policy.tries import Memory, TryKind
from serving.stores import StoreUnavailable

LEASE = 30_000
LIMITS = Limits(tokens_per_hour=2, tokens_per_day=100, cooldown_ms=0)

REMEMBERED = Memory()

AttemptAt = Callable[..., Attempt]


class MovableClock(Protocol):
    """Tells the time that it was set to."""

    now: int

    def __call__(self) -> int:
        """Tell the time."""
        ...


async def reserve(store: MemoryStore, attempt: Attempt, count: int = 1) -> Decision | Blocked:
    """Charge tokens."""
    answer = await store.reserve(attempt, b"this", count, LIMITS, address=None, memory=REMEMBERED)
    return answer.decision


async def issue(store: MemoryStore, attempt: Attempt, expires: int) -> None:
    """Reserve and commit one token."""
    assert isinstance(await reserve(store, attempt), Reserved)
    outcome = await store.commit(attempt, 1, expires, Sealed(b"sealed", 0), LIMITS)
    assert isinstance(outcome, Committed)


async def test_the_store_keeps_what_an_account_decides(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """Reserve, commit, release and usage are the account's, at the store's own time."""
    store = MemoryStore(clock, lease_ms=LEASE)
    first, second = attempt_at(), attempt_at()
    assert await reserve(store, first) == Reserved(clock.now + LEASE)
    assert isinstance(await reserve(store, second), Reserved)
    assert isinstance(await reserve(store, attempt_at()), Refused)
    opens = clock.now + HOUR_MS
    clock.now += 1_000
    outcome = await store.commit(first, 1, clock.now + 1, Sealed(b"s", 0), LIMITS)
    assert outcome == Committed(Usage(1, 1, 1, opens))
    assert await store.release(second, LIMITS, ambiguous=False) is Release.RELEASED
    assert await store.release(second, LIMITS, ambiguous=False) is Release.NOTHING
    assert await store.usage("ann", LIMITS) == Usage(1, 1, 1, None)


async def test_users_do_not_touch_each_other(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """One user's charges leave another's quota, requests and usage alone."""
    store = MemoryStore(clock, lease_ms=LEASE)
    for user in ("ann", "bob"):
        for number in (b"1", b"2"):
            await issue(store, attempt_at(number, b"owner", user), clock.now + HOUR_MS)
    assert (await store.usage("ann", LIMITS)).tokens_last_hour == 2
    assert await store.usage("eve", LIMITS) == Usage(0, 0, 0, None)


async def test_many_at_once_get_no_more_than_the_limit(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """Of fifty requests at the same instant as many pass as the limit says."""
    store = MemoryStore(clock, lease_ms=LEASE)
    decisions = await asyncio.gather(*(reserve(store, attempt_at()) for _ in range(50)))
    assert sum(isinstance(decision, Reserved) for decision in decisions) == 2


async def test_what_nobody_charged_is_not_kept(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """Neither a question, a refusal, a lost commit nor a vain release makes a user known."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await store.usage("ann", LIMITS)
    assert isinstance(await reserve(store, attempt_at(), 3), Refused)
    assert await store.commit(attempt_at(), 1, clock.now, Sealed(b"", 0), LIMITS) == Lost()
    assert await store.release(attempt_at(), LIMITS, ambiguous=False) is Release.NOTHING
    assert len(store) == 0


async def test_idle_users_are_forgotten(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """Users with nothing left to count leave as others come."""
    store = MemoryStore(clock, lease_ms=LEASE)
    for number in range(10):
        await issue(store, attempt_at(user=f"user {number}"), clock.now + HOUR_MS)
    clock.now += DAY_MS
    for number in range(5):
        await issue(store, attempt_at(user=f"new {number}"), clock.now + HOUR_MS)
    assert len(store) == 5


async def test_a_user_whose_mint_failed_is_forgotten_at_once(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """A release of all that was charged leaves nothing behind, whoever else is known."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await issue(store, attempt_at(user="ann"), clock.now + HOUR_MS)
    failed = attempt_at(user="bob")
    await reserve(store, failed)
    assert await store.release(failed, LIMITS, ambiguous=False) is Release.RELEASED
    assert len(store) == 1


async def test_a_user_with_charges_is_not_forgotten_by_a_release(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """A release takes only its own charge away."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await issue(store, attempt_at(), clock.now + HOUR_MS)
    failed = attempt_at()
    await reserve(store, failed)
    await store.release(failed, LIMITS, ambiguous=False)
    assert (await store.usage("ann", LIMITS)).tokens_last_hour == 1


async def test_a_full_store_turns_new_users_away_and_drops_nothing(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """At its bound the store cannot answer for a new user; those it knows go on as before."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=2)
    await issue(store, attempt_at(user="ann"), clock.now + HOUR_MS)
    await issue(store, attempt_at(user="bob"), clock.now + HOUR_MS)
    with pytest.raises(StoreUnavailable):
        await reserve(store, attempt_at(user="eve"))
    await issue(store, attempt_at(user="ann"), clock.now + HOUR_MS)
    assert isinstance(await reserve(store, attempt_at(user="ann")), Refused)
    assert (await store.usage("bob", LIMITS)).tokens_last_hour == 1


async def test_a_full_store_takes_new_users_once_others_are_idle(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """As soon as a known user has nothing left to count, a new one finds room."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=1)
    await reserve(store, attempt_at(user="ann"))
    clock.now += LEASE - 1
    with pytest.raises(StoreUnavailable):
        await reserve(store, attempt_at(user="bob"))
    clock.now += 1
    assert isinstance(await reserve(store, attempt_at(user="bob")), Reserved)
    assert len(store) == 1


async def test_stats_add_up_all_users(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """The fleet's numbers count what still counts, each in its window."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await issue(store, attempt_at(user="ann"), clock.now + 1_000)
    await issue(store, attempt_at(user="bob"), clock.now + 2 * DAY_MS)
    await reserve(store, attempt_at(user="eve"))
    assert await store.stats() == Stats(2, 2, 2, 2, 1)
    clock.now += HOUR_MS
    assert await store.stats() == Stats(2, 1, 0, 2, 0)
    clock.now += DAY_MS
    assert await store.stats() == Stats(0, 1, 0, 0, 0)


async def test_tries_and_standings_are_bounded(clock: MovableClock) -> None:
    """Of more users than are kept, the tries of the last are."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=2)
    for user in ("ann", "bob", "eve"):
        await store.observe(user, TryKind.REJECTED, b"this", REMEMBERED)
        await store.offend(Offender(Party.USER, user), Rule.VOLUME, Blocking())
    found = [await store.inspect(user, None) for user in ("ann", "bob", "eve")]
    assert [len(each.tries) for each in found] == [0, 1, 1]
    assert [len(each.user.violations) for each in found] == [0, 1, 1]


async def test_a_block_in_force_is_forgotten_last(clock: MovableClock) -> None:
    """However many others break rules, who is blocked stays blocked."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=2)
    blocked = Offender(Party.ADDRESS, "blocked")
    await store.block(blocked, until=clock.now + 5, reason="why", actor="who")
    for number in range(5):
        await store.offend(Offender(Party.USER, f"user {number}"), Rule.VOLUME, Blocking())
    assert [each.offender for each in await store.blocks(offset=0, count=9)] == [blocked]


async def test_a_new_offender_is_counted_however_many_are_blocked(clock: MovableClock) -> None:
    """A store that is full of blocks still blocks who breaks rules, and forgets the oldest."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=2)
    blocking = Blocking(violations=3)
    for number in range(4):
        offender = Offender(Party.ADDRESS, f"address {number}")
        for _ in range(2):
            standing = await store.offend(offender, Rule.VOLUME, blocking)
        assert len(standing.violations) == 2
        assert (await store.offend(offender, Rule.VOLUME, blocking)).block is not None
        assert (await store.inspect("", offender.name)).address.block is not None
    names = {each.offender.name for each in await store.blocks(offset=0, count=9)}
    assert names == {"address 2", "address 3"}
    assert store.offenders == 2


async def test_a_block_that_ended_makes_room_for_one(clock: MovableClock) -> None:
    """Behind a block of a year, those that ended go before one that is in force."""
    store = MemoryStore(clock, lease_ms=LEASE, max_users=3)

    async def block(name: str, lasting: int) -> None:
        until = clock.now + lasting
        await store.block(Offender(Party.USER, name), until=until, reason="r", actor="a")

    await block("for a year", 365 * DAY_MS)
    await block("for a moment", 1)
    await block("for a day", DAY_MS)
    clock.now += 1
    await block("new", DAY_MS)
    names = [each.offender.name for each in await store.blocks(offset=0, count=9)]
    assert names == ["for a year", "new", "for a day"]


@pytest.mark.parametrize("violations", [1, 2])
@pytest.mark.parametrize("coming", ["reserves", "offends"])
async def test_who_has_nothing_left_to_count_is_forgotten(
    clock: MovableClock, attempt_at: AttemptAt, violations: int, coming: str
) -> None:
    """A day after the last violation, or once a block ended, an offender goes as others come."""
    store = MemoryStore(clock, lease_ms=LEASE)
    blocking = Blocking(violations=violations, block_ms=DAY_MS)
    for number in range(10):
        await store.offend(Offender(Party.ADDRESS, f"{number}"), Rule.VOLUME, blocking)
    assert store.offenders == 10
    clock.now += DAY_MS - 1
    for number in range(6):
        await reserve(store, attempt_at(user=f"in time {number}"))
    assert store.offenders == 10, "not before"
    clock.now += 1
    for number in range(6):
        if coming == "reserves":
            await reserve(store, attempt_at(user=f"user {number}"))
        else:
            await store.offend(Offender(Party.USER, "one"), Rule.VOLUME, Blocking())
    assert store.offenders == (coming == "offends")


async def test_a_violation_after_a_block_ends_it(clock: MovableClock) -> None:
    """Who was blocked and breaks a rule again is counted from one, and kept once."""
    store = MemoryStore(clock, lease_ms=LEASE)
    ann = Offender(Party.USER, "ann")
    await store.block(ann, until=clock.now + 5, reason="r", actor="a")
    clock.now += 5
    assert len((await store.offend(ann, Rule.VOLUME, Blocking())).violations) == 1
    assert store.offenders == 1
    await store.block(ann, until=clock.now + 5, reason="r", actor="a")
    assert store.offenders == 1
    await store.forget("ann")
    assert store.offenders == 0


MANY = 1_000


async def turns_during(work: Awaitable[object]) -> int:
    """Return how often others had a turn while something was done."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    turns = 0
    await work
    beside.cancel()
    return turns


async def test_a_walk_over_everybody_lets_others_have_a_turn(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """Neither the numbers nor the list of blocks of many users hold up a decision."""
    store = MemoryStore(clock, lease_ms=LEASE)
    for number in range(MANY):
        await reserve(store, attempt_at(user=f"user {number}"))
        offender = Offender(Party.USER, f"user {number}")
        await store.block(offender, until=clock.now + 5, reason="r", actor="a")
    assert await turns_during(store.stats()) >= 5
    assert await turns_during(store.blocks(offset=0, count=10)) >= 5
    assert await turns_during(store.blocks(offset=0, count=MANY)) >= 10


async def test_a_walk_survives_what_happens_meanwhile(
    clock: MovableClock, attempt_at: AttemptAt
) -> None:
    """Users who come, go and are blocked or freed in the middle of it are counted once or not."""
    store = MemoryStore(clock, lease_ms=LEASE)
    everybody = [f"user {number}" for number in range(MANY)]
    for user in everybody:
        await reserve(store, attempt_at(user=user))
        await store.block(Offender(Party.USER, user), until=clock.now + 5, reason="r", actor="a")
    walks = asyncio.gather(store.stats(), store.blocks(offset=0, count=2 * MANY))
    await asyncio.sleep(0)
    for user in everybody[::2]:
        await store.forget(user)
        newcomer = Offender(Party.ADDRESS, f"new {user}")
        await store.block(newcomer, until=clock.now + 5, reason="r", actor="a")
        await reserve(store, attempt_at(user=f"new {user}"))
    stats, blocks = await walks
    assert MANY / 2 <= stats.pending_reservations <= MANY
    names = [each.offender.name for each in blocks]
    assert set(everybody[1::2]) <= set(names)
    assert len(names) == len(set(names)) <= MANY


async def test_blocks_are_paged_in_order(clock: MovableClock) -> None:
    """However many they are: the one that ends last first, each on one page."""
    store = MemoryStore(clock, lease_ms=LEASE)
    ends = [1 + (number * 7_919) % MANY for number in range(MANY)]
    for number, end in enumerate(ends):
        offender = Offender(Party.ADDRESS, f"{number:04}")
        await store.block(offender, until=clock.now + end, reason="r", actor="a")
    pages = [await store.blocks(offset=at, count=300) for at in range(0, MANY + 300, 300)]
    assert [len(page) for page in pages] == [300, 300, 300, 100, 0]
    found = [each.block.until - clock.now for page in pages for each in page]
    assert found == sorted(ends, reverse=True)


async def test_old_tries_are_forgotten(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """A day later, as others come, they are gone."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await store.observe("ann", TryKind.REJECTED, b"this", REMEMBERED)
    clock.now += DAY_MS
    await reserve(store, attempt_at(user="bob"))
    assert (await store.inspect("ann", None)).tries == ()
