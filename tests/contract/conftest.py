"""Real servers of Redis, started when a test first asks, which run as long as the tests do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from servers import ValkeyServer, valkey_server
from servers_cluster import ValkeyCluster, valkey_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


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
