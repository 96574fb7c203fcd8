"""Places for identities to hold to one contract: a file, a server, a cluster, and the fake."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from identity_places import FilePlace, MemoryPlace, Place, ServedPlace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from servers import ValkeyServer
    from servers_cluster import ValkeyCluster


@pytest.fixture(params=["memory", "sqlite", "valkey", "cluster"])
def spot(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str | None:
    """Return the file or the URL of each store in turn; of the fake, nothing."""
    match request.param:
        case "sqlite":
            return tmp_path / "deep" / "identity.db"
        case "valkey":
            single: ValkeyServer = request.getfixturevalue("server")
            return single.url
        case "cluster":
            several: ValkeyCluster = request.getfixturevalue("cluster")
            return several.url.replace("redis://", "redis+cluster://")
        case _:
            return None


@pytest.fixture
async def place(spot: Path | str | None) -> AsyncIterator[Place]:
    """Return each place in turn."""
    async with AsyncExitStack() as stack:
        match spot:
            case None:
                yield MemoryPlace()
            case str():
                yield ServedPlace(spot, stack)
            case _:
                yield FilePlace(spot, stack)
