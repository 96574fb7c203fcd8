"""The store of one process."""

import asyncio
from collections.abc import Callable
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
from policy.store import StoreUnavailable
from policy.tries import Memory, TryKind

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


async def test_old_tries_are_forgotten(clock: MovableClock, attempt_at: AttemptAt) -> None:
    """A day later, as others come, they are gone."""
    store = MemoryStore(clock, lease_ms=LEASE)
    await store.observe("ann", TryKind.REJECTED, b"this", REMEMBERED)
    clock.now += DAY_MS
    await reserve(store, attempt_at(user="bob"))
    assert (await store.inspect("ann", None)).tries == ()
