"""A store, its clock, and a user of it."""

from __future__ import annotations

import itertools
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policy.decisions import Attempt
from policy.limits import Limits
from policy.redis.store import RedisStore
from policy.tries import Memory
from serving.redis.connect import RedisOptions, open_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from policy.decisions import Answer
    from policy.memory import MemoryStore

NOW = 1_767_225_600_000
LEASE = 30_000
PATIENT = RedisOptions(connect_timeout_ms=5_000, socket_timeout_ms=5_000)
LIMITS = Limits(tokens_per_hour=2, tokens_per_day=3, cooldown_ms=0)
REMEMBERED = Memory(window_ms=60_000, most=3)


@dataclass
class StillClock:
    """Tells the same time until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@dataclass
class Bench:
    """A store, its clock, and a user of it."""

    store: MemoryStore | RedisStore
    clock: StillClock
    user: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    limits: Limits = LIMITS
    memory: Memory = REMEMBERED
    prefix: str = ""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def attempt(self, request: bytes = b"", owner: bytes = b"", user: str = "") -> Attempt:
        """Return an attempt, by default a new one at a new request."""
        number = next(self.numbers)
        return Attempt(
            user or self.user, request or b"request %04d" % number, owner or b"owner%03d" % number
        )

    async def reserve(
        self,
        attempt: Attempt | None = None,
        count: int = 1,
        *,
        fingerprint: bytes = b"this",
        limits: Limits | None = None,
        address: str | None = None,
    ) -> Answer:
        """Reserve, by default one token for a new attempt."""
        return await self.store.reserve(
            attempt or self.attempt(),
            fingerprint,
            count,
            limits or self.limits,
            address=address,
            memory=self.memory,
        )


@asynccontextmanager
async def shared_store(url: str, clock: StillClock) -> AsyncIterator[Bench]:
    """Yield a store on servers, with a prefix of its own."""
    prefix = f"test-{secrets.token_hex(6)}"
    async with open_redis(url, PATIENT) as client:
        store = RedisStore(client, lease_ms=LEASE, clock=clock, prefix=prefix, timeout_ms=10_000)
        yield Bench(store, clock, prefix=prefix)
