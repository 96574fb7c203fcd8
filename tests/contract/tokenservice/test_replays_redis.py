"""What replicas that share a store remember of proofs, on a real server and a real cluster."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from proofs import NOW, ORIGIN, PATH, TOKEN, Holder
from servers import ValkeyServer, valkey_server
from servers_cluster import valkey_cluster

from serving.redis.connect import RedisOptions, open_redis
from serving.stores import StoreUnavailable
from tokenservice.errors import BadProof, IdentityUnavailable
from tokenservice.identity.dpop import ProofVerifier
from tokenservice.identity.replays import RedisReplays

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENT = RedisOptions(connect_timeout_ms=5_000, socket_timeout_ms=5_000)
MINUTE_MS = 60_000


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[RedisReplays]:
    """Yield what one replica remembers with, over a client of its own."""
    async with open_redis(url, PATIENT) as client:
        yield RedisReplays(client, timeout_ms=10_000)


@pytest.fixture(params=["valkey", "cluster"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return the URL of a server, and of a cluster."""
    if request.param == "valkey":
        async with valkey_server(tmp_path) as server:
            yield server.url
    else:
        async with valkey_cluster(tmp_path) as cluster:
            yield cluster.url.replace("redis://", "redis+cluster://")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    """Return a server of this test's own."""
    async with valkey_server(tmp_path) as server:
        yield server


async def test_a_name_is_the_first_on_one_replica(url: str) -> None:
    """Whichever hears it first, also at the same instant; another name is another."""
    names = [secrets.token_bytes(32) for _ in range(20)]
    async with replica(url) as one, replica(url) as other:
        for name in names:
            answers = await asyncio.gather(
                *(each.first(name, MINUTE_MS) for each in (one, other, one, other))
            )
            assert sorted(answers) == [False, False, False, True]


async def test_a_name_leaves_by_itself(server: ValkeyServer) -> None:
    """It ends after its time, counted from the first, and a repeat adds none."""
    name = secrets.token_bytes(32)
    async with replica(server.url) as replays:
        assert await replays.first(name, MINUTE_MS)
        assert not await replays.first(name, 60 * MINUTE_MS)
        (key,) = await server.ask("KEYS", "*")
        assert 0 < await server.ask("PTTL", key) <= MINUTE_MS
        # The server's own time cannot be moved, so the rest of it is taken away.
        await server.ask("PEXPIRE", key, 0)
        assert await replays.first(name, MINUTE_MS)


async def test_the_store_learns_nothing(server: ValkeyServer) -> None:
    """Neither key nor id nor token stands in it: names are hashes, and values empty."""
    holder = Holder()
    async with replica(server.url) as replays:
        verifier = ProofVerifier(replays, lambda: NOW * 1000, origins=(ORIGIN,))
        proof = holder.proof(jti="the-id-of-the-proof")
        assert await verifier.verify((proof,), TOKEN, method="POST", path=PATH)
    (key,) = await server.ask("KEYS", "*")
    prefix, _, name = key.rpartition(":")
    assert prefix == "lt-id:proof"
    assert len(name) == 43
    assert await server.ask("GET", key) == ""
    for secret in ("the-id-of-the-proof", holder.thumbprint, TOKEN):
        assert secret not in key
    assert hashlib.sha256(b"the-id-of-the-proof").hexdigest() not in key


async def test_a_proof_used_at_one_replica_is_used_at_all(url: str) -> None:
    """Who has overheard a proof has nothing at the next replica either."""
    proof = Holder().proof()
    async with replica(url) as one, replica(url) as other:
        verifiers = [
            ProofVerifier(each, lambda: NOW * 1000, origins=(ORIGIN,)) for each in (one, other)
        ]
        await verifiers[0].verify((proof,), TOKEN, method="POST", path=PATH)
        with pytest.raises(BadProof):
            await verifiers[1].verify((proof,), TOKEN, method="POST", path=PATH)


async def test_the_least_rights_are_enough(tmp_path: Path) -> None:
    """A user that may do no more than is documented can remember."""
    rights = "resetchannels -@all ~lt-id:proof:* +set +client|setinfo"
    async with valkey_server(tmp_path) as server:
        await server.ask("ACL", "SETUSER", "replica", "on", ">p", *rights.split())
        url = server.url.replace("redis://", "redis://replica:p@")
        async with replica(url) as replays:
            assert await replays.first(b"name", MINUTE_MS)
            assert not await replays.first(b"name", MINUTE_MS)


async def test_without_the_store_nobody_is_the_first(server: ValkeyServer) -> None:
    """One that is gone, or full, is an answer to nobody; and names what failed for the log."""
    async with replica(server.url) as replays:
        assert await replays.first(b"one", MINUTE_MS)
        await server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(IdentityUnavailable) as caught:
            await replays.first(b"two", MINUTE_MS)
        assert isinstance(caught.value.__cause__, StoreUnavailable)
        assert "OutOfMemory" in str(caught.value.__cause__)
        server.kill()
        with pytest.raises(IdentityUnavailable):
            await replays.first(b"three", MINUTE_MS)
