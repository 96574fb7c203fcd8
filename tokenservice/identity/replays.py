"""Who has been here before: names that count once within a time."""

from __future__ import annotations

import base64
import heapq
from typing import TYPE_CHECKING, Protocol

from serving.redis.link import Client, Link
from serving.stores import StoreUnavailable
from tokenservice.errors import IdentityUnavailable

if TYPE_CHECKING:
    from serving.clock import Clock

_CALLS = 8


class Replays(Protocol):
    """Remembers names. A name is a hash: nothing can be read from it."""

    async def first(self, name: bytes, ttl_ms: int) -> bool:
        """Remember `name` for `ttl_ms`; return whether it was not remembered yet.

        Of any number at once, one is the first.

        Raises:
            IdentityUnavailable: Nobody knows.

        """
        ...


class MemoryReplays:
    """Remembers for one process.

    When it is full it does not know any more: to forget a name before its time
    would let it be the first again.
    """

    def __init__(self, clock: Clock, *, max_entries: int = 100_000) -> None:
        """Remember at most so many: some 25 MB at the default."""
        self._clock = clock
        self._max_entries = max_entries
        self._names: set[bytes] = set()
        self._ends: list[tuple[int, bytes]] = []  # a heap

    def __len__(self) -> int:
        """Return how many names are remembered."""
        return len(self._names)

    async def first(self, name: bytes, ttl_ms: int) -> bool:
        """See Replays."""
        now = self._clock()
        self._forget(now)
        if name in self._names:
            return False
        if len(self._names) >= self._max_entries:
            raise IdentityUnavailable from StoreUnavailable(
                f"{self._max_entries} names are remembered, and no more can be"
            )
        self._names.add(name)
        heapq.heappush(self._ends, (now + ttl_ms, name))
        return True

    def _forget(self, now: int) -> None:
        while self._ends and self._ends[0][0] <= now:
            self._names.remove(heapq.heappop(self._ends)[1])


class RedisReplays:
    """Remembers for all processes that share a Redis or Valkey, by its clock.

        PREFIX:proof:NAME        nothing; NAME is base64url

    The user that it works as needs `~PREFIX:proof:* +set`, beside what every client does. After
    a failover to a replica that lagged behind, what it had not heard of is the first again.
    """

    def __init__(self, client: Client, *, prefix: str = "lt-id", timeout_ms: int = 375) -> None:
        """Use `client`, which open_redis made; it stays the caller's to close."""
        self._link = Link(client, timeout_ms=timeout_ms, calls=_CALLS)
        self._prefix = f"{prefix}:proof"

    async def first(self, name: bytes, ttl_ms: int) -> bool:
        """See Replays."""
        key = f"{self._prefix}:{base64.urlsafe_b64encode(name).decode().rstrip('=')}"
        try:
            (kept,) = await self._link.within(
                self._link.run_all([("SET", key, b"", "NX", "PX", ttl_ms)]), "proof_first"
            )
        except StoreUnavailable as error:
            raise IdentityUnavailable from error
        return kept is not None
