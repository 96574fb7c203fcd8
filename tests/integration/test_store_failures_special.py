"""Faults of the store that are not simply its absence: full, flushed, evicting, overrun."""

import asyncio
from pathlib import Path

from servers import ValkeyServer, valkey_server
from servers_proxy import hole
from servers_waiting import until
from store_failures import BACK, DURABLE, IN_TIME, UNHURRIED, USER, Answer, Policy, serving, url_of

SAFE = {**DURABLE, "user": USER}


async def test_a_full_store_settles_what_is_pending(tmp_path: Path) -> None:
    """At maxmemory no new reservation is decided, but commits and releases go through."""
    async with valkey_server(tmp_path, config=SAFE) as server, serving(url_of(server)) as policy:
        for user in ("ann", "bob"):
            assert await policy.decided(policy.reserve, user) == "granted"
        await server.ask("CONFIG", "SET", "maxmemory", 1)
        assert (await policy.reserve("new")).no_decision
        assert await policy.decided(policy.commit, "ann") == "COMMITTED"
        assert await policy.decided(policy.release, "bob") == "released"
        assert (await policy.usage("ann")).message.usage.tokens_last_hour == 1
        await policy.until_serving(serving=False)
        await policy.until_told("OutOfMemory")
        await server.ask("CONFIG", "SET", "maxmemory", 0)
        await policy.until_serving()
        assert await policy.decided(policy.reserve, "new") == "granted"
        assert await policy.decided(policy.reserve, "ann", "again") == "COOLDOWN"
        assert await policy.decided(policy.reserve, "bob", "again") == "granted"


async def test_forgotten_scripts_are_not_noticed(tmp_path: Path) -> None:
    """SCRIPT FLUSH in the middle of calls: each is answered as if nothing had been."""
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        serving(url_of(server), store_timeout_ms=UNHURRIED) as policy,
    ):
        done = asyncio.Event()

        async def flush() -> int:
            times = 0
            async with server.client() as redis:
                while not done.is_set():
                    await redis.script_flush()
                    times += 1
            return times

        async def call() -> None:
            for _ in range(20):
                user = policy.new_user()
                await policy.issue(user)
                assert await policy.decided(policy.reserve, user, "again") == "COOLDOWN"

        flushing = asyncio.create_task(flush())
        await asyncio.gather(*(call() for _ in range(8)))
        done.set()
        assert await flushing > 20


async def test_a_flushed_store_delivers_nothing_from_before(tmp_path: Path) -> None:
    """After FLUSHALL pending commits are lost and quotas start anew; the log raises the alarm."""
    async with valkey_server(tmp_path, config=SAFE) as server, serving(url_of(server)) as policy:
        await policy.issue("ann")
        assert await policy.decided(policy.reserve, "bob") == "granted"
        await server.ask("FLUSHALL")
        assert await policy.decided(policy.commit, "bob") == "LOST"
        assert await policy.decided(policy.release, "bob") == "nothing"
        assert (await policy.usage("ann")).message.usage.tokens_last_hour == 0
        await policy.issue("ann", "again")
        await until_forgotten(policy)
        assert await policy.serves(), "it can decide"


async def test_a_restart_without_a_file_is_a_flush(tmp_path: Path) -> None:
    """It was warned of at the start; pending commits are lost; the log raises the alarm."""
    async with (
        valkey_server(tmp_path, config={"user": USER}) as server,
        serving(url_of(server)) as policy,
    ):
        assert policy.said("store forgets when it restarts")
        assert await policy.decided(policy.reserve, "bob") == "granted"
        await server.restart()
        assert await policy.decided(policy.commit, "bob") == "LOST"
        await until_forgotten(policy)
        await policy.issue("bob", "again")


async def until_forgotten(policy: Policy) -> None:
    """Wait until the log says that the store lost what it knew."""

    async def told() -> bool:
        return bool(policy.said("store forgot"))

    await until(told, 10, "the log says that the store forgot")


async def test_eviction_switched_on_is_told(tmp_path: Path) -> None:
    """From then on health says NOT_SERVING and the log why, until it is off again."""
    async with valkey_server(tmp_path, config=SAFE) as server, serving(url_of(server)) as policy:
        await server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await policy.until_serving(serving=False)
        await policy.until_told("maxmemory-policy is allkeys-lru, not noeviction")
        await server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await policy.until_serving()
        assert not policy.said("store forgot")


async def test_eviction_can_be_allowed(tmp_path: Path) -> None:
    """POLICY_STORE_ALLOW_EVICTION serves all the same, with a warning at the start."""
    config = {**SAFE, "maxmemory-policy": "volatile-ttl"}
    async with (
        valkey_server(tmp_path, config=config) as server,
        serving(url_of(server), store_allow_eviction=True) as policy,
    ):
        assert [line["maxmemory_policy"] for line in policy.said("store evicts")] == [
            "volatile-ttl"
        ]
        await policy.issue("ann")
        assert await policy.serves()


async def test_more_callers_than_connections(tmp_path: Path) -> None:
    """On a store that does not answer they all fail in time; on one that does, none fails."""
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        hole(server.address) as proxy,
        serving(url_of(proxy), store_max_connections=3) as policy,
    ):

        async def crowd() -> list[Answer]:
            return await asyncio.gather(*(policy.reserve(policy.new_user()) for _ in range(90)))

        async def served() -> bool:
            return {answer.outcome for answer in await crowd()} == {"granted"}

        await until(served, BACK, "all are granted")  # a busy machine may keep one waiting
        proxy.hold()
        assert all(answer.no_decision for answer in await crowd())
        causes = {line["cause"] for line in policy.said("rpc") if line["cause"]}
        assert causes == {"StoreUnavailable: the store failed: TimeoutError"}
        proxy.release()
        await until(served, BACK, "all are granted again")
        assert await connections(server) <= 3


async def test_a_hung_store_costs_a_caller_its_deadline_at_most(tmp_path: Path) -> None:
    """However long policy would wait: who gave up is gone, and holds no connection any more."""
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        serving(url_of(server), store_timeout_ms=UNHURRIED, store_max_connections=2) as policy,
    ):
        await policy.issue("ann")
        server.pause()
        users = [policy.new_user() for _ in range(10)]
        answers = await asyncio.gather(*(policy.reserve(user, timeout=0.1) for user in users))
        assert {answer.code for answer in answers} == {"DEADLINE_EXCEEDED"}
        assert max(answer.seconds for answer in answers) < IN_TIME
        server.resume()
        assert (await policy.reserve("bob", timeout=IN_TIME)).outcome == "granted"


async def test_callers_that_leave_break_nothing(tmp_path: Path) -> None:
    """Cancelled at any point, they leave no connection in the middle of another's answer."""
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        hole(server.address) as proxy,
        serving(url_of(proxy), store_timeout_ms=UNHURRIED, store_max_connections=4) as policy,
    ):
        # Each has issued another number of tokens: a crossed answer would show.
        users = {policy.new_user(): count for count in range(1, 9)}
        for user, count in users.items():
            assert await policy.decided(policy.reserve, user, count=count) == "granted"
            assert await policy.decided(policy.commit, user, tokens=count) == "COMMITTED"

        async def read(user: str) -> None:
            answer = await policy.usage(user)
            assert answer.message.usage.tokens_last_hour == users[user]

        left = 0
        for round_ in range(40):
            leaving = [asyncio.create_task(read(user)) for user in users]
            if round_ % 2:
                proxy.hold()
            await asyncio.wait(leaving, timeout=round_ / 10_000)
            for task in leaving:
                task.cancel()
            left += sum(task.cancelled() for task in (await asyncio.wait(leaving))[0])
            proxy.release()
            await asyncio.gather(*map(read, users))
        assert left > 80, "many did"
        assert await connections(server) <= 4


async def connections(server: ValkeyServer) -> int:
    """Return how many connections policy has to a server."""
    listed: str = await server.ask("CLIENT", "LIST")
    return listed.count(" user=policy ")
