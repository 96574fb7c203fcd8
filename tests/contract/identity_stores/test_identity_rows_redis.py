"""Identities on a real server: its failures, its rights, and what its dump shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import structlog
from identity_places import PATIENT, PATIENT_MS
from identity_rows import HASH_KEY, StillClock
from pydantic import SecretStr
from servers import valkey_server
from servers_proxy import hole

from serving.process import StartError
from serving.redis.connect import RedisOptions, open_redis
from serving.stores import StoreUnavailable
from tokenservice.errors import IdentityUnavailable, SubjectDenied, WrongCredentials
from tokenservice.identity.directory import Directory
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.opening import open_directory, open_rows
from tokenservice.identity.redis_rows import READS, WRITES, RedisRows
from tokenservice.identity.registry import Registry
from tokenservice.identity.rows import UnsafeRows
from tokenservice.identity.settings import IdentitySettings

if TYPE_CHECKING:
    from pathlib import Path

    from servers import ValkeyServer
    from servers_cluster import ValkeyCluster

DAY_MS = 86_400_000
HASTY = RedisOptions(connect_timeout_ms=100, socket_timeout_ms=100)


def settings(url: str, prefix: str = "lt-id", *, hash_key: bytes = HASH_KEY) -> IdentitySettings:
    """Return the settings of a process on a server."""
    return IdentitySettings(
        store_url=SecretStr(url),
        store_prefix=prefix,
        hash_key=SecretStr(hash_key.decode()),
        store_timeout_ms=5_000,
    )


async def test_two_replicas_hear_of_what_an_operator_does(
    server: ValkeyServer, cluster: ValkeyCluster
) -> None:
    """Over a server and over a cluster, what one process changes two others know at a look."""
    clock, keyring = StillClock(), Keyring(HASH_KEY)
    for url in (server.url, cluster.url.replace("redis://", "redis+cluster://")):
        place = settings(url, "two-replicas")
        async with (
            open_rows(place, keyring) as rows,
            open_directory(place, clock) as one,
            open_directory(place, clock) as two,
        ):
            registry = Registry(rows, keyring, clock)
            text, key = await registry.create_key("ann", lifetime_ms=DAY_MS, actor="op")
            for directory in (one, two):
                await directory.refresh()
                assert directory.principal_of(text).subject == "ann"
                directory.check("bob")
            await registry.revoke_key(key.id, actor="op")
            await registry.deny("bob", reason="left", actor="op")
            for directory in (one, two):
                await directory.refresh()
                with pytest.raises(WrongCredentials):
                    directory.principal_of(text)
                with pytest.raises(SubjectDenied):
                    directory.check("bob")


async def test_a_row_whose_name_is_no_text_names_nobody(server: ValkeyServer) -> None:
    """What somebody else put there ends no process: the others are judged as before."""
    place, clock = settings(server.url, "no-text"), StillClock()
    async with open_rows(place, keyring := Keyring(HASH_KEY)) as rows:
        key, _ = await Registry(rows, keyring, clock).create_key(
            "ann", lifetime_ms=DAY_MS, actor="op"
        )
        await server.ask("HSET", "no-text:{identity}:keys", b"\xff\xfe", b"row")
        await server.ask("HSET", "no-text:{identity}:denials", b"\xff\xfe", b"row")
        async with open_directory(place, clock) as directory:
            assert directory.principal_of(key).subject == "ann"
            directory.check("ann")


async def test_an_outage_is_told_cleanly_and_ends(tmp_path: Path) -> None:
    """Gone, hung, or back: each look says StoreUnavailable, and no more than a name of why."""
    clock, keyring = StillClock(), Keyring(HASH_KEY)
    async with (
        valkey_server(tmp_path, config={"appendonly": "yes", "appendfsync": "always"}) as server,
        open_redis(server.url, HASTY) as client,
    ):
        rows = RedisRows(client, names=keyring.fingerprint, timeout_ms=150)
        directory = Directory(rows, keyring, clock, stale_seconds=60)
        registry = Registry(rows, keyring, clock)
        await registry.deny("eve", reason="left", actor="op")
        await directory.refresh()
        server.pause()
        with pytest.raises(StoreUnavailable, match=r"^the store failed: TimeoutError$"):
            await directory.refresh()
        server.resume()
        await directory.refresh()
        server.kill()
        with pytest.raises(StoreUnavailable, match=r"^the store failed: \w+$"):
            await directory.refresh()
        with pytest.raises(StoreUnavailable):
            await registry.deny("bob", reason="left", actor="op")
        clock.advance(61)
        with pytest.raises(IdentityUnavailable):
            directory.check("ann")
        await server.start()
        await directory.refresh()
        directory.check("ann")
        with pytest.raises(SubjectDenied):
            directory.check("eve")


async def test_a_connection_that_swallows_all_is_given_up(server: ValkeyServer) -> None:
    """A peer that is there and never answers holds a look no longer than the time-out."""
    async with hole(server.address) as proxy, open_redis(proxy.url, HASTY) as client:
        rows = RedisRows(client, names=b"names", prefix="hole", timeout_ms=150)
        await rows.version()
        proxy.hold()
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            await rows.version()
        proxy.release()
        await rows.version()


async def test_a_replica_is_not_believed(tmp_path: Path) -> None:
    """One may lag without end, so it is neither read nor written; what it says names no row."""
    async with (
        valkey_server(tmp_path, config={"replicaof": "127.0.0.1 1"}) as server,
        open_redis(server.url, PATIENT) as client,
    ):
        rows = RedisRows(client, names=b"names", timeout_ms=PATIENT_MS)
        for use in (rows.version(), rows.read(), rows.change("keys", "an-id", None, b"a row")):
            with pytest.raises(StoreUnavailable, match="ReadOnlyError") as told:
                await use
            assert "an-id" not in f"{told.value} {told.value.__cause__!r}"


async def test_a_primary_that_lost_its_replicas_is_not_believed(tmp_path: Path) -> None:
    """Where another may have been made primary, and told to, a look finds no store."""
    async with (
        valkey_server(tmp_path, config={"min-replicas-to-write": "1"}) as server,
        open_redis(server.url, PATIENT) as client,
    ):
        rows = RedisRows(client, names=b"names", timeout_ms=PATIENT_MS)
        for use in (rows.version(), rows.read()):
            with pytest.raises(StoreUnavailable, match="ResponseError"):
                await use


async def test_a_full_server_is_read(tmp_path: Path) -> None:
    """Without memory to write, denials hold: they can be read, and no change is half made."""
    config = {"maxmemory": "3mb", "maxmemory-policy": "noeviction"}
    async with (
        valkey_server(tmp_path, config=config) as server,
        open_redis(server.url, PATIENT) as client,
    ):
        rows = RedisRows(client, names=b"names", timeout_ms=PATIENT_MS)
        await rows.change("denials", "eve", None, b"1")
        await server.ask("CONFIG", "SET", "maxmemory", "1mb")
        before = await rows.read()
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            await rows.change("denials", "bob", None, b"1")
        assert await rows.read() == before
        assert before.denials == {"eve": b"1"}


async def test_the_least_rights_are_enough(server: ValkeyServer) -> None:
    """A replica's user may read and nothing else; an operator's may change, in its prefix."""
    async with server.client() as admin:
        for user, rights in (("reader", READS), ("writer", WRITES)):
            rules = rights.format(prefix="rights").split()
            await admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
    url = f"redis://{{}}:pw@127.0.0.1:{server.port}"
    async with (
        open_redis(url.format("reader"), PATIENT) as reading,
        open_redis(url.format("writer"), PATIENT) as writing,
    ):
        reader = RedisRows(reading, names=b"n", prefix="rights", timeout_ms=PATIENT_MS)
        writer = RedisRows(writing, names=b"n", prefix="rights", timeout_ms=PATIENT_MS)
        await reader.check()
        assert await writer.change("keys", "k", None, b"1")
        assert (await reader.read()).keys == {"k": b"1"}
        assert (await reader.version()).change
        with pytest.raises(StoreUnavailable):
            await reader.change("keys", "k", b"1", b"2")
        assert (await reader.read()).keys == {"k": b"1"}
        assert await writer.change("keys", "k", b"1", None)
        elsewhere = RedisRows(writing, names=b"n", prefix="another", timeout_ms=PATIENT_MS)
        with pytest.raises(StoreUnavailable):
            await elsewhere.read()


async def test_a_server_that_may_drop_rows_is_refused(tmp_path: Path) -> None:
    """Where a denial could be evicted there is no start, and the line says what to set."""
    async with valkey_server(tmp_path, config={"maxmemory-policy": "allkeys-lru"}) as server:
        with pytest.raises(StartError, match=r"TOKENSERVICE_STORE_URL: .*noeviction"):
            async with open_directory(settings(server.url), StillClock()):
                pass


async def test_a_server_that_may_drop_used_proofs_is_refused(tmp_path: Path) -> None:
    """Where keys that end by themselves may be evicted, a proof could be used twice."""
    async with valkey_server(tmp_path, config={"maxmemory-policy": "volatile-lru"}) as server:
        async with open_directory(settings(server.url), StillClock()):
            pass
        with pytest.raises(StartError, match=r"TOKENSERVICE_STORE_URL: .*noeviction"):
            async with open_directory(settings(server.url), StillClock(), proofs=True):
                pass


async def test_a_server_that_forgets_is_named_at_the_start(tmp_path: Path) -> None:
    """Where a restart would let the denied in again, each start says so; else none does."""
    for lines, told in (({}, 1), ({"appendonly": "yes"}, 0)):
        async with valkey_server(tmp_path / str(told), config=lines) as server:
            with structlog.testing.capture_logs() as logged:
                async with open_directory(settings(server.url), StillClock()):
                    pass
            assert [each["event"] for each in logged].count(
                "store forgets when it restarts"
            ) == told


async def test_who_may_not_ask_about_eviction_does_not_start(server: ValkeyServer) -> None:
    """Without INFO nobody knows whether denials are safe: the start says what to allow."""
    async with server.client() as admin:
        rules = READS.format(prefix="lt-id").replace("+info", "-info").split()
        await admin.execute_command("ACL", "SETUSER", "unseeing", "reset", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
    async with open_redis(f"redis://unseeing:pw@127.0.0.1:{server.port}", PATIENT) as client:
        with pytest.raises(UnsafeRows, match=r"\+info"):
            await RedisRows(client, names=b"n", timeout_ms=PATIENT_MS).check()


async def test_a_store_under_another_hash_key_stops_the_start(server: ValkeyServer) -> None:
    """A wrong TOKENSERVICE_HASH_KEY would let every denied user in: it is told at the start."""
    place = settings(server.url, "another-key")
    async with open_rows(place, Keyring(HASH_KEY)) as rows:
        await Registry(rows, Keyring(HASH_KEY), StillClock()).deny("eve", reason="a", actor="op")
    other = settings(server.url, "another-key", hash_key=HASH_KEY[::-1])
    with pytest.raises(StartError, match="another TOKENSERVICE_HASH_KEY") as told:
        async with open_directory(other, StillClock()):
            pass
    assert "\n" not in str(told.value)


async def test_a_start_without_the_store_waits_and_lets_nobody_in(tmp_path: Path) -> None:
    """A server that is not there yet is no reason not to start, and lets nobody in."""
    async with valkey_server(tmp_path) as server:
        url = server.url
        await server.stop()
        async with open_directory(settings(url), StillClock()) as directory:
            assert not directory.is_fresh()
            await server.start()
            await directory.refresh()
            directory.check("ann")


async def test_a_dump_shows_neither_key_nor_owner(tmp_path: Path) -> None:
    """In all that the server writes to disk stand ids and pseudonyms, and keys that never end."""
    keyring = Keyring(HASH_KEY)
    files = tmp_path / "data"
    config = {"rdbcompression": "no", "appendonly": "yes"}
    async with valkey_server(files, config=config) as server:
        async with open_rows(settings(server.url), keyring) as rows:
            registry = Registry(rows, keyring, StillClock())
            text, key = await registry.create_key(
                "ann.owner@example.com", label="the label", lifetime_ms=DAY_MS, actor="the actor"
            )
            await registry.deny("ann.owner@example.com", reason="the reason", actor="the actor")
            await registry.revoke_key(key.id, actor="the actor")
        await server.ask("SAVE")
        names = await server.ask("KEYS", "*")
        assert {await server.ask("TTL", name) for name in names} == {-1}
        assert all(re.fullmatch(r"lt-id:\{identity\}:(meta|keys|denials)", name) for name in names)
    written = b"".join(file.read_bytes() for file in files.rglob("*") if file.is_file())
    assert key.id.encode() in written
    secret = text.split("_")[2]
    for hidden in (text, secret, secret[:12], "ann.owner", "the label", "the actor", "the reason"):
        assert hidden.encode() not in written
    assert keyring.digest(text).encode() not in written
    assert HASH_KEY not in written
