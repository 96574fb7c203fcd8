"""Stores to hold to one contract: in memory, on a real server, on a real cluster.

Each test has names of its own in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from store_bench import LEASE, PATIENT, Bench, StillClock, shared_store

from policy.memory import MemoryStore
from serving.redis.connect import open_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servers import ValkeyServer
    from servers_cluster import ValkeyCluster

    from serving.redis.link import Client


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of the servers of that kind."""
    if kind == "valkey":
        single: ValkeyServer = request.getfixturevalue("server")
        return single.url
    several: ValkeyCluster = request.getfixturevalue("cluster")
    return several.url.replace("redis://", "redis+cluster://")


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
