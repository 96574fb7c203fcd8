"""What only a store that processes share does: keys, clocks, lost scripts, cancelled calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from store_bench import LEASE, Bench, StillClock

from policy.account import Sealed
from policy.decisions import Blocked, Committed, Lost, Refused, Replayed, Reserved
from policy.limits import DAY_MS, HOUR_MS
from policy.redis.checks import UnsafeStore
from policy.redis.codec import Keys
from policy.redis.runner import wall_clock
from policy.redis.store import RedisStore
from policy.rules import Rule
from policy.standing import Blocking, Offender, Party
from policy.tries import TryKind
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from servers import ValkeyServer

    from policy.decisions import Attempt, CommitOutcome
    from serving.redis.link import Client

BLOCKING = Blocking(violations=1, window_ms=10_000, block_ms=20_000)


async def commit(bench: Bench, attempt: Attempt) -> CommitOutcome:
    """Commit one token, sealed for nine seconds."""
    now = bench.clock.now
    sealed = Sealed(b"sealed", now + 9_000)
    return await bench.store.commit(attempt, 1, now + HOUR_MS, sealed, bench.limits)


async def everything(bench: Bench) -> None:
    """Leave a key of every kind."""
    first = bench.attempt()
    await bench.reserve(first)
    await commit(bench, first)
    await bench.reserve(bench.attempt(first.request))
    await bench.store.observe(bench.user, TryKind.REJECTED, b"this", bench.memory)
    await bench.store.offend(Offender(Party.USER, bench.user), Rule.VOLUME, BLOCKING)
    await bench.store.offend(Offender(Party.ADDRESS, "address"), Rule.VOLUME, BLOCKING)
    await bench.store.check()


async def keys_of(bench: Bench, client: Client) -> list[str]:
    """Return the names of the test's keys."""
    found: list[bytes] = await client.execute_command("KEYS", f"{bench.prefix}:*")
    return sorted(name.decode() for name in found)


def on(client: Client, **options: Any) -> Bench:
    """Return a store of its own on the one server."""
    clock, bench = StillClock(), Bench.__new__(Bench)
    prefix = f"own-{id(bench)}"
    store = RedisStore(client, lease_ms=LEASE, clock=clock, prefix=prefix, **options)
    return Bench(store, clock, prefix=prefix)


async def test_every_key_ends(client: Client) -> None:
    """There are seven kinds of keys, and each ends by itself, a minute late or more."""
    bench = on(client)
    await everything(bench)
    tag = f"{bench.prefix}:{{{bench.user}}}"
    names = await keys_of(bench, client)
    assert [name.removeprefix(tag) for name in names if name.startswith(tag)] == [
        *(":b", ":q", f":r:{b'request 0000'.hex()}", ":t"),
    ]
    assert [name.removeprefix(bench.prefix) for name in names if not name.startswith(tag)] == [
        *(":blocks", ":probe", ":{a:address}:b"),
    ]
    atleast = {":q": DAY_MS, ":t": 60_000, ":b": 20_000, "6c": 9_000}
    for name in names:
        left = int(await client.execute_command("PTTL", name))
        kept = next((ms for end, ms in atleast.items() if name.endswith(end)), 0)
        assert left > kept + 50_000 or name.endswith(":probe")
        assert left > 0


async def test_a_charge_of_a_crash_does_not_stay_a_day(client: Client) -> None:
    """A user of whom only a reservation is left costs nothing soon after its lease."""
    bench = on(client)
    await bench.reserve()
    left = int(await client.execute_command("PTTL", Keys(bench.prefix).charges(bench.user)))
    assert LEASE + 50_000 < left <= LEASE + 60_000


async def test_a_forgotten_user_leaves_no_key(client: Client) -> None:
    """All keys of the user are gone."""
    bench = on(client)
    await everything(bench)
    await bench.store.forget(bench.user)
    assert not [name for name in await keys_of(bench, client) if bench.user in name]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_block_set_while_another_is_lifted(
    shared: Bench, monkeypatch: pytest.MonkeyPatch, *, forgotten: bool, before: bool
) -> None:
    """It is lifted as well, or it is in force and listed: never in force and in no list."""
    assert isinstance(shared.store, RedisStore)
    store, offender = shared.store, Offender(Party.USER, shared.user)
    unlist = store._standings.unlist

    async def slowly(who: Offender) -> None:
        if not before:
            await unlist(who)
        await store.block(offender, until=shared.clock.now + 9, reason="new", actor="who")
        if before:
            await unlist(who)

    monkeypatch.setattr(store._standings, "unlist", slowly)
    await store.block(offender, until=shared.clock.now + 5, reason="old", actor="who")
    await (store.forget(shared.user) if forgotten else store.lift(offender))
    blocked = isinstance((await shared.reserve()).decision, Blocked)
    assert len(await store.blocks(offset=0, count=9)) == int(blocked)


async def test_no_identifier_is_in_a_key_or_a_value(client: Client) -> None:
    """What is stored is pseudonyms, times, counts, and what tokenservice sealed."""
    bench = on(client)
    await bench.reserve()
    key = Keys(bench.prefix).charges(bench.user)
    packed = await client.execute_command("GET", key)
    now, ends = bench.clock.now.to_bytes(6), (bench.clock.now + LEASE).to_bytes(6)
    assert packed == now + ends + b"\x01\x01" + b"request 0000" + b"owner000" + b"this"


async def test_a_server_that_lost_the_scripts_gets_them_again(shared: Bench) -> None:
    """A flush of the scripts is not noticed, by commits that wait for replicas neither."""
    assert isinstance(shared.store, RedisStore)
    attempt = shared.attempt()
    for step in (shared.reserve(attempt), commit(shared, attempt)):
        link = shared.store._link
        for server in await link.primaries():
            await server.execute_command("SCRIPT", "FLUSH")
        await step
    assert (await shared.store.usage(shared.user, shared.limits)).tokens_last_hour == 1


async def test_the_servers_time_counts(client: Client) -> None:
    """Without a clock of a test's, a lease ends by the server's time."""
    store = RedisStore(client, lease_ms=LEASE, prefix="own-time")
    bench = Bench(store, StillClock())
    decision = (await bench.reserve()).decision
    assert isinstance(decision, Reserved)
    assert abs(decision.lease_until - LEASE - wall_clock()) < 60_000


@pytest.mark.parametrize("apart", [-61_000, 61_000])
async def test_clocks_that_disagree_decide_nothing(client: Client, apart: int) -> None:
    """If the server's clock and ours are more than a minute apart, nothing is changed."""
    user = Bench(RedisStore(client, lease_ms=LEASE), StillClock())
    wrong = RedisStore(
        client, lease_ms=LEASE, wall=lambda: wall_clock() + apart, prefix=f"clocks{apart}"
    )
    bench = replace(user, store=wrong, prefix=f"clocks{apart}")
    attempt = bench.attempt()
    for step in (
        bench.reserve(attempt),
        commit(bench, attempt),
        wrong.release(attempt, bench.limits, ambiguous=True),
        wrong.usage(bench.user, bench.limits),
        wrong.observe(bench.user, TryKind.REJECTED, b"this", bench.memory),
        wrong.offend(Offender(Party.USER, bench.user), Rule.VOLUME, BLOCKING),
        wrong.block(Offender(Party.USER, bench.user), until=1, reason="why", actor="who"),
        wrong.lift(Offender(Party.USER, bench.user)),
        wrong.blocks(offset=0, count=1),
        wrong.inspect(bench.user, None),
        wrong.forget(bench.user),
        wrong.stats(),
    ):
        with pytest.raises(StoreUnavailable, match="clock"):
            await step
    assert await keys_of(bench, client) == []
    with pytest.raises(StoreUnavailable, match="clock"):
        await wrong.check()  # health says so as well


async def test_cancelled_calls_cross_no_answers(shared: Bench) -> None:
    """Of 240 calls cut short at any moment, none leaves its answer to another's."""
    assert isinstance(shared.store, RedisStore)
    store = shared.store
    users = [f"user-of-number-{number:02}" for number in range(8)]
    for number, user in enumerate(users):
        for _ in range(number):
            await store.observe(user, TryKind.REJECTED, b"%04d" % number, replace_most(shared))

    async def ask(number: int) -> None:
        found = await store.inspect(users[number], None)
        assert [each.fingerprint for each in found.tries] == [b"%04d" % number] * number

    for turn in range(30):
        calls = [asyncio.ensure_future(ask(number)) for number in range(8)]
        for _ in range(turn % 10):
            await asyncio.sleep(0)
        for call in calls[turn % 2 :: 2]:
            call.cancel()
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        await asyncio.gather(*(ask(number) for number in range(8)))


def replace_most(bench: Bench) -> Any:
    """Return a memory for as many tries as there are."""
    return replace(bench.memory, most=9)


async def test_errors_tell_no_key_and_no_value(client: Client) -> None:
    """What the server answers may repeat what it was sent; what is raised does not."""
    bench = on(client)
    key = Keys(bench.prefix).charges(bench.user)
    await client.execute_command("RPUSH", key, "a list is no log")
    with pytest.raises(StoreUnavailable) as told:
        await bench.reserve()
    shown = repr((told.value, told.value.__cause__))
    assert "WRONGTYPE" in shown or "withheld" in shown
    assert bench.user not in shown
    await client.execute_command("DEL", key)


async def test_many_callers_take_turns(client: Client) -> None:
    """More callers than connections wait for one another instead of failing."""
    bench = on(client, max_calls=2, timeout_ms=10_000)
    answers = await asyncio.gather(*(bench.reserve() for _ in range(100)))
    assert sum(isinstance(each.decision, Reserved) for each in answers) == 2
    assert sum(isinstance(each.decision, Refused) for each in answers) == 98


async def test_a_replay_is_the_same_after_another_process_committed(
    server: ValkeyServer, client: Client
) -> None:
    """What one process committed, another answers a repeat with; its own commit is lost."""
    del server
    bench = on(client)
    other = replace(
        bench,
        store=RedisStore(client, lease_ms=LEASE, clock=bench.clock, prefix=bench.prefix),
    )
    first, second = bench.attempt(b"request same"), bench.attempt(b"request same")
    await bench.reserve(first)
    assert isinstance(await commit(bench, first), Committed)
    assert isinstance((await other.reserve(second)).decision, Replayed)
    assert await commit(other, second) == Lost()


async def test_users_named_by_another_key_are_not_taken_for_strangers(client: Client) -> None:
    """Two keys on one store would give each user two quotas: the second finds it unsafe."""
    first, second = (
        RedisStore(client, lease_ms=LEASE, prefix="two-keys", names=names)
        for names in (b"one", b"another")
    )
    await first.check()
    for _ in range(2):
        with pytest.raises(UnsafeStore, match="POLICY_HASH_KEY"):
            await second.check()
    await first.check()
