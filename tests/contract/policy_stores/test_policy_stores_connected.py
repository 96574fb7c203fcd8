"""A shared store over TLS, as a restricted user, behind Sentinel, waiting for replicas."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from servers import ValkeyServer, valkey_server
from servers_cluster import ValkeyCluster, valkey_cluster
from servers_proxy import hole, tls_proxy
from servers_replicated import ValkeyReplicated, valkey_replicated, valkey_sentinel
from store_bench import LEASE, PATIENT, Bench, StillClock

from policy.account import Sealed
from policy.decisions import Blocked, Committed, Release, Replayed, Reserved
from policy.limits import HOUR_MS
from policy.redis.checks import ACL, UnsafeStore, start_check
from policy.redis.store import RedisStore
from policy.rules import Rule
from policy.standing import Blocking, Offender, Party
from policy.tries import TryKind
from serving.redis.connect import open_redis
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from policy.decisions import Attempt, CommitOutcome
    from serving.redis.link import Client


def on(client: Client, prefix: str, **options: Any) -> Bench:
    """Return a store on `client`, and a user."""
    clock = StillClock()
    options = {"timeout_ms": 10_000, **options}
    store = RedisStore(client, lease_ms=LEASE, clock=clock, prefix=prefix, **options)
    return Bench(store, clock, prefix=prefix)


async def commit(bench: Bench, attempt: Attempt) -> CommitOutcome:
    """Commit one token, sealed for nine seconds."""
    now = bench.clock.now
    sealed = Sealed(b"sealed", now + 9_000)
    return await bench.store.commit(attempt, 1, now + HOUR_MS, sealed, bench.limits)


async def every_operation(bench: Bench) -> None:
    """Ask a store all that it can be asked."""
    store, address = bench.store, Offender(Party.ADDRESS, f"address of {bench.user}")
    first, second = bench.attempt(), bench.attempt()
    for each in (first, second):
        decision = (await bench.reserve(each, address=address.name)).decision
        assert isinstance(decision, Reserved)
    assert isinstance(await commit(bench, first), Committed)
    assert await store.release(second, bench.limits, ambiguous=True) is Release.RELEASED
    again = (await bench.reserve(bench.attempt(first.request))).decision
    assert isinstance(again, Replayed)
    assert (await store.usage(bench.user, bench.limits)).tokens_last_hour == 1
    await store.observe(bench.user, TryKind.REJECTED, b"this", bench.memory)
    await store.offend(address, Rule.VOLUME, Blocking(violations=1))
    assert isinstance((await bench.reserve(address=address.name)).decision, Blocked)
    assert [each.offender for each in await store.blocks(offset=0, count=9)] == [address]
    assert (await store.inspect(bench.user, address.name)).address.block is not None
    assert await store.lift(address)
    await store.block(address, until=bench.clock.now + 5, reason="why", actor="who")
    assert await store.lift(address)
    assert (await store.stats()).active_users == 1
    await store.forget(bench.user)
    await store.check()


async def test_tls_is_verified(tmp_path: Path, server: ValkeyServer) -> None:
    """With the right authority every operation works; with another nothing is decided."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(trusted))
    trustme.CA().cert_pem.write_to_path(str(other))
    async with tls_proxy(*server.address, context) as proxy:
        async with open_redis(f"{proxy.url}?ssl_ca_certs={trusted}", PATIENT) as client:
            await every_operation(on(client, "tls"))
        async with open_redis(f"{proxy.url}?ssl_ca_certs={other}", PATIENT) as client:
            with pytest.raises(StoreUnavailable):
                await on(client, "tls").reserve()


async def test_a_unix_socket_does(tmp_path: Path) -> None:
    """Every operation works over a Unix socket, with a password."""
    async with (
        valkey_server(tmp_path, config={"requirepass": "p"}, unix=True) as server,
        open_redis(server.unix_url, PATIENT) as client,
    ):
        await every_operation(on(client, "unix"))


@pytest.mark.parametrize("clustered", [False, True])
async def test_the_least_rights_are_enough(
    tmp_path: Path, server: ValkeyServer, cluster: ValkeyCluster, *, clustered: bool
) -> None:
    """A user who may do what `ACL` says and no more can do everything, and nothing else."""
    del tmp_path
    nodes = cluster.nodes if clustered else [server]
    for node in nodes:
        async with node.client() as admin:
            rules = ACL.format(prefix="acl").split()
            await admin.execute_command("ACL", "SETUSER", "policy", "reset", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
    scheme = "redis+cluster" if clustered else "redis"
    where = f"{scheme}://policy:pw@127.0.0.1:{nodes[0].port}"
    async with open_redis(where, PATIENT) as client:
        await start_check(client)
        await every_operation(on(client, "acl", wait_replicas=0))
        with pytest.raises(StoreUnavailable, match="NoPermission"):
            await on(client, "another").reserve()


async def test_who_may_not_ask_about_eviction_does_not_start(server: ValkeyServer) -> None:
    """Without INFO nobody knows whether charges are safe: the start says what to allow."""
    async with server.client() as admin:
        rules = ACL.format(prefix="acl").replace("+info", "-info").split()
        await admin.execute_command("ACL", "SETUSER", "blind", "reset", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
    async with open_redis(f"redis://blind:pw@127.0.0.1:{server.port}", PATIENT) as client:
        with pytest.raises(UnsafeStore, match=r"\+info"):
            await start_check(client)


async def test_a_server_that_evicts_is_refused(tmp_path: Path) -> None:
    """Unless told otherwise, there is no start and no readiness where charges may be dropped."""
    async with (
        valkey_server(tmp_path, config={"maxmemory-policy": "allkeys-lru"}) as server,
        open_redis(server.url, PATIENT) as client,
    ):
        with pytest.raises(UnsafeStore, match="noeviction"):
            await start_check(client)
        with pytest.raises(StoreUnavailable, match="noeviction"):
            await on(client, "evicts").store.check()
        await start_check(client, allow_eviction=True)
        await on(client, "evicts", allow_eviction=True).store.check()


async def test_a_full_server_still_holds_to_account(tmp_path: Path) -> None:
    """Where nothing more is reserved, violations count and block, and a block can be lifted."""
    async with valkey_server(tmp_path) as server, open_redis(server.url, PATIENT) as client:
        bench = on(client, "full")
        offender = Offender(Party.USER, bench.user)
        async with server.client() as admin:
            await admin.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            await bench.reserve()
        blocking = Blocking(violations=3)
        for number in range(2):
            evidence = b"%04d" % number
            await bench.store.offend(offender, Rule.VOLUME, blocking, evidence=evidence)
        standing = await bench.store.offend(offender, Rule.VOLUME, blocking)
        assert standing.block is not None
        assert [each.offender for each in await bench.store.blocks(offset=0, count=9)] == [offender]
        assert await bench.store.lift(offender)


async def test_one_of_several_that_evicts_is_found(tmp_path: Path) -> None:
    """Every primary of a cluster is asked."""
    async with (
        valkey_cluster(tmp_path) as cluster,
        open_redis(cluster.url.replace("redis://", "redis+cluster://"), PATIENT) as client,
    ):
        await start_check(client)
        async with cluster.nodes[2].client() as admin:
            await admin.config_set("maxmemory-policy", "volatile-ttl")
        with pytest.raises(UnsafeStore, match="volatile-ttl"):
            await start_check(client)


async def test_sentinel_tells_the_primary(tmp_path: Path) -> None:
    """The store finds the primary, and after a failover the new one, by the same URL."""
    async with valkey_sentinel(tmp_path, config={"requirepass": "p"}) as group:
        hosts = ",".join(f"{host}:{port}" for host, port in group.sentinels)
        url = f"redis+sentinel://:p@{hosts}/{group.service_name}/0"
        async with open_redis(url, PATIENT) as client:
            bench = on(client, "sentinel", wait_replicas=1, wait_ms=5_000)
            await every_operation(bench)
            await group.failover()
            await group.watching()
            for _ in range(20):  # connections to the old primary are found out one by one
                try:
                    await every_operation(Bench(bench.store, bench.clock))
                    break
                except StoreUnavailable:
                    continue
            else:
                pytest.fail("the new primary was not found")


async def test_a_commit_waits_for_its_replica(tmp_path: Path) -> None:
    """Without it the token is withheld, by a repeat too; once it is back, a repeat is answered."""
    async with (
        valkey_replicated(tmp_path) as group,
        open_redis(group.primary.url, PATIENT) as client,
    ):
        bench = on(client, "wait", wait_replicas=1, wait_ms=2_000)
        first = bench.attempt()
        await bench.reserve(first)
        assert isinstance(await commit(bench, first), Committed)
        second = bench.attempt()
        await bench.reserve(second)
        group.replicas[0].kill()
        hasty = on(client, "wait", wait_replicas=1, wait_ms=50)
        hasty.user = bench.user
        for step in (
            commit(hasty, second),
            commit(hasty, second),
            hasty.reserve(bench.attempt(second.request)),
        ):
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
                await step
        await group.replicas[0].start()
        await group.linked()
        assert isinstance(await commit(bench, second), Committed)
        again = (await bench.reserve(bench.attempt(second.request))).decision
        assert isinstance(again, Replayed)


async def hung(bench: Bench, fresh: Bench, attempt: Attempt) -> None:
    """Commit with a replica that hears nothing, and repeat it from where nothing was written."""
    fresh.user = bench.user
    for step in (
        commit(bench, attempt),
        commit(fresh, attempt),
        commit(bench, attempt),
        fresh.reserve(bench.attempt(attempt.request)),
    ):
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await step


async def test_a_repeated_commit_waits_on_any_connection(tmp_path: Path) -> None:
    """While the replica hangs, a repeat is refused though its own connection wrote no charge.

    Else its token would go out, and be issued again by the replica once it is promoted.
    """
    async with (
        valkey_replicated(tmp_path) as group,
        open_redis(group.primary.url, PATIENT) as client,
        open_redis(group.primary.url, PATIENT) as another,
    ):
        bench = on(client, "hung", wait_replicas=1, wait_ms=100)
        fresh = on(another, "hung", wait_replicas=1, wait_ms=100)
        attempt = bench.attempt()
        await bench.reserve(attempt)
        await group.linked()
        group.replicas[0].pause()
        try:
            await hung(bench, fresh, attempt)
        finally:
            group.replicas[0].resume()
        patient = on(another, "hung", wait_replicas=1, wait_ms=5_000)
        patient.user = bench.user
        assert isinstance(await commit(patient, attempt), Committed)
        replica = await group.replicas[0].ask("STRLEN", f"hung:{{{bench.user}}}:q")
        assert replica == 38


async def test_a_repeated_commit_that_is_partitioned_from_its_replica(tmp_path: Path) -> None:
    """A replica that is linked and hears nothing does not have what is repeated."""
    async with (
        valkey_server(tmp_path / "primary", config={"repl-diskless-sync-delay": "0"}) as primary,
        hole(primary.address) as between,
        valkey_server(
            tmp_path / "replica", config={"replicaof": f"127.0.0.1 {between.port}"}
        ) as replica,
        open_redis(primary.url, PATIENT) as client,
        open_redis(primary.url, PATIENT) as another,
    ):
        await ValkeyReplicated(primary, [replica]).linked()
        bench = on(client, "hole", wait_replicas=1, wait_ms=100)
        fresh = on(another, "hole", wait_replicas=1, wait_ms=100)
        attempt = bench.attempt()
        await bench.reserve(attempt)
        between.hold()
        await hung(bench, fresh, attempt)
        between.release()
        patient = on(another, "hole", wait_replicas=1, wait_ms=5_000)
        patient.user = bench.user
        assert isinstance(await commit(patient, attempt), Committed)


async def move(slot: int, key: str, giver: ValkeyServer, taker: ValkeyServer) -> None:
    """Move a slot with one key in it to another primary."""
    ids = [await node.ask("CLUSTER MYID") for node in (giver, taker)]
    await taker.ask("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
    await giver.ask("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
    await giver.ask("MIGRATE", *taker.address, key, 0, 5_000)
    for node in (taker, giver):
        await node.ask("CLUSTER SETSLOT", slot, "NODE", ids[1])


async def test_a_commit_whose_slot_moved_waits_where_it_is_now(tmp_path: Path) -> None:
    """The client follows the slot, and while the replica there hangs, no commit passes."""
    async with (
        valkey_cluster(tmp_path, replicas=1) as cluster,
        open_redis(cluster.url.replace("redis://", "redis+cluster://"), PATIENT) as client,
        open_redis(cluster.url.replace("redis://", "redis+cluster://"), PATIENT) as another,
    ):
        bench = on(client, "moved", wait_replicas=1, wait_ms=100)
        fresh = on(another, "moved", wait_replicas=1, wait_ms=100)
        attempt = bench.attempt()
        await bench.reserve(attempt)
        await fresh.reserve()  # it knows the slots as they were as well
        key = f"moved:{{{bench.user}}}:q"
        giver = await cluster.node_of(key)
        at = next(n for n in range(cluster.size) if cluster.nodes[n] is not giver)
        taker, replica = cluster.nodes[at], cluster.nodes[cluster.size + at]
        await move(await giver.ask("CLUSTER KEYSLOT", key), key, giver, taker)
        replica.pause()
        try:
            await hung(bench, fresh, attempt)
        finally:
            replica.resume()
        patient = on(another, "moved", wait_replicas=1, wait_ms=5_000)
        patient.user = bench.user
        assert isinstance(await commit(patient, attempt), Committed)


async def test_a_cluster_waits_for_replicas_too(tmp_path: Path) -> None:
    """The commit and its wait go to the same server, on the same connection."""
    async with (
        valkey_cluster(tmp_path, replicas=1) as cluster,
        open_redis(cluster.url.replace("redis://", "redis+cluster://"), PATIENT) as client,
    ):
        bench = on(client, "wait", wait_replicas=1, wait_ms=2_000)
        for number in range(6):
            await every_operation(Bench(bench.store, bench.clock, user=f"user-number-{number:04}"))
        too_many = on(client, "wait", wait_replicas=2, wait_ms=50)
        attempt = too_many.attempt()
        await too_many.reserve(attempt)
        with pytest.raises(StoreUnavailable, match="1 of 2 replicas"):
            await commit(too_many, attempt)


def test_waiting_longer_than_the_store_may_is_refused() -> None:
    """WAIT must end before the operation's own time does."""
    with pytest.raises(ValueError, match="shorter"):
        RedisStore(None, lease_ms=LEASE, wait_replicas=1, wait_ms=400)  # type: ignore[arg-type]
