"""Stores in the traces of who asks them: Redis, and the file of identities."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind
from span_tap import said, tapped

from policy.account import Sealed
from policy.decisions import Attempt
from policy.limits import Limits
from policy.redis.store import RedisStore
from policy.rules import Rule
from policy.standing import Blocking, Offender, Party
from policy.tries import Memory, TryKind
from serving import tracing
from serving.redis.connect import RedisOptions, open_redis
from tokenservice.errors import IdentityUnavailable
from tokenservice.identity.redis_rows import RedisRows
from tokenservice.identity.replays import RedisReplays
from tokenservice.identity.sqlite_rows import SqliteRows
from tokenservice.ledger.entry import Entry
from tokenservice.ledger.stream import Stream

if TYPE_CHECKING:
    from pathlib import Path

    from servers import ValkeyServer
    from span_tap import Tap

    from serving.redis.link import Client

PATIENT = RedisOptions(connect_timeout_ms=10_000, socket_timeout_ms=10_000)
LONG_MS = 20_000
LIMITS = Limits(cooldown_ms=0)


def told(tap: Tap, system: str) -> list[str]:
    """Return the names of what a store was asked, each of which says that and no more."""
    asked = [span for span in tap.spans if span.kind is SpanKind.CLIENT]
    for span in asked:
        expected = {tracing.DB_SYSTEM: system, tracing.DB_OPERATION: span.name}
        assert dict(said(span)) == expected
        assert span.events == ()
    return [span.name for span in asked]


async def use_policys(client: Client, user: str) -> None:
    """Do all that policy does with a store."""
    store = RedisStore(client, lease_ms=60_000, prefix=f"lt-{user}", timeout_ms=LONG_MS)
    attempt = Attempt(user, secrets.token_bytes(12), b"8 bytes.")
    later = time.time_ns() // 10**6 + 600_000
    offender = Offender(Party.USER, user)
    await store.check()
    await store.reserve(attempt, b"four", 1, LIMITS, address="a", memory=Memory())
    await store.commit(attempt, 1, later, Sealed(b"sealed", later), LIMITS)
    await store.release(attempt, LIMITS, ambiguous=False)
    await store.usage(user, LIMITS)
    await store.observe(user, TryKind.REJECTED, b"four", Memory())
    await store.offend(offender, Rule.VOLUME, Blocking())
    await store.inspect(user, None)
    await store.block(offender, until=later, reason="r", actor="a")
    await store.blocks(offset=0, count=5)
    await store.lift(offender)
    await store.forget(user)
    await store.stats()


POLICYS = [
    "check",
    "reserve",
    "commit",
    "release",
    "usage",
    "observe",
    "offend",
    "inspect",
    "block",
    "blocks",
    "lift",
    "forget",
    "stats",
]


async def test_policys_operations_are_named(server: ValkeyServer) -> None:
    """Each is one span, by our name of it; of a script's keys and values nothing is said."""
    user = f"user{secrets.token_hex(8)}"
    async with open_redis(server.url, PATIENT) as client:
        with tapped(ALWAYS_ON) as tap, tracing.server_span("served", {}):
            await use_policys(client, user)
            assert told(tap, "redis") == POLICYS
        assert user not in "".join(span.to_json() for span in tap.spans)


async def test_tokenservices_operations_are_named(server: ValkeyServer, tmp_path: Path) -> None:
    """Identities in Redis and in a file, proofs that were used, and the ledger's stream."""
    name = secrets.token_hex(8)
    async with open_redis(server.url, PATIENT) as client:
        rows = RedisRows(client, names=b"names", prefix=name, timeout_ms=LONG_MS)
        ledger = Stream(client, f"{name}:l", retention_days=1, max_rows=9, timeout_ms=LONG_MS)
        with tapped(ALWAYS_ON) as tap, tracing.server_span("served", {}):
            await rows.version()
            await rows.change("keys", "an-id", None, b"secret")
            await rows.read()
            await RedisReplays(client, prefix=name, timeout_ms=LONG_MS).first(b"proof", 60_000)
            await ledger.append([Entry(id="1", at=1, outcome="issued")])
            assert [entry.id async for entry in ledger.rows(0)] == ["1"]
            assert told(tap, "redis") == [
                "identity_version",
                "identity_change",
                "identity_read",
                "proof_first",
                "ledger_append",
                "ledger_trim",
                "ledger_find",
            ]
    file = SqliteRows(tmp_path / "store", names=b"names", timeout_ms=LONG_MS)
    with tapped(ALWAYS_ON) as tap, tracing.server_span("served", {}):
        await file.version()
        await file.change("keys", "an-id", None, b"secret")
        await file.read()
        assert told(tap, "sqlite") == ["identity_version", "identity_change", "identity_read"]
    file.close()


async def test_a_store_that_is_away_is_told_of_an_unsampled_request() -> None:
    """Of a request that was not sampled, the call that failed is kept, with its kind."""
    async with open_redis("redis://:password-of-store@127.0.0.1:1/0", PATIENT) as client:
        replays = RedisReplays(client, timeout_ms=LONG_MS)
        with tapped() as tap, tracing.server_span("served", {}):
            with pytest.raises(IdentityUnavailable):
                await replays.first(b"proof", 60_000)
            (called,) = tap.spans
    assert said(called)[tracing.ERROR_TYPE] == "ConnectionError"
    assert "password-of-store" not in called.to_json()
