"""Stores to hold to one contract: in memory, on a real server, on a real cluster.

The servers run as long as the tests do; each test has names of its own in them.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from policy.decisions import Attempt
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.redis_connect import RedisOptions, open_redis
from policy.redis_store import RedisStore
from policy.tries import Memory
from servers import ValkeyServer, valkey_server
from servers_cluster import ValkeyCluster, valkey_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from policy.decisions import Answer
    from policy.redis_link import Client

NOW = 1_767_225_600_000
LEASE = 30_000
PATIENT = RedisOptions(connect_timeout_ms=5_000, socket_timeout_ms=5_000)


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
    limits: Limits = Limits(tokens_per_hour=2, tokens_per_day=3, cooldown_ms=0)
    memory: Memory = Memory(window_ms=60_000, most=3)
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


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Return what starts and ends servers outside of any test's loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def server(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ValkeyServer]:
    """Run one server."""
    running = valkey_server(tmp_path_factory.mktemp("server"))
    yield runner.run(running.__aenter__())
    runner.run(running.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def cluster(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ValkeyCluster]:
    """Run a cluster of three."""
    running = valkey_cluster(tmp_path_factory.mktemp("cluster"))
    yield runner.run(running.__aenter__())
    runner.run(running.__aexit__(None, None, None))


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of the servers of that kind."""
    if kind == "valkey":
        single: ValkeyServer = request.getfixturevalue("server")
        return single.url
    several: ValkeyCluster = request.getfixturevalue("cluster")
    return several.url.replace("redis://", "redis+cluster://")


@asynccontextmanager
async def shared_store(url: str, clock: StillClock) -> AsyncIterator[Bench]:
    """Yield a store on servers, with a prefix of its own."""
    prefix = f"test-{secrets.token_hex(6)}"
    async with open_redis(url, PATIENT) as client:
        store = RedisStore(client, lease_ms=LEASE, clock=clock, prefix=prefix, timeout_ms=10_000)
        yield Bench(store, clock, prefix=prefix)


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture(params=["memory", "valkey", "cluster"])
def place(request: pytest.FixtureRequest) -> str:
    """Return the URL of each store in turn; of the one in memory, an empty one."""
    return "" if request.param == "memory" else url_of(request.param, request)


@pytest.fixture(params=["valkey", "cluster"])
def shared_place(request: pytest.FixtureRequest) -> str:
    """Return the URL of each store that processes share, in turn."""
    return url_of(request.param, request)


@pytest.fixture
async def bench(place: str, clock: StillClock) -> AsyncIterator[Bench]:
    """Return each store in turn."""
    if not place:
        yield Bench(MemoryStore(clock, lease_ms=LEASE), clock)
        return
    async with shared_store(place, clock) as bench:
        yield bench


@pytest.fixture
async def shared(shared_place: str, clock: StillClock) -> AsyncIterator[Bench]:
    """Return each store that processes share, in turn."""
    async with shared_store(shared_place, clock) as bench:
        yield bench


@pytest.fixture
async def client(server: ValkeyServer) -> AsyncIterator[Client]:
    """Return a client of the one server."""
    async with open_redis(server.url, PATIENT) as client:
        yield client
