"""Where several processes keep the same rows of identities: the fake, a file, a server."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from identity_rows import MemoryRows, Shelf

from serving.redis.connect import RedisOptions, open_redis
from tokenservice.identity.redis_rows import RedisRows
from tokenservice.identity.sqlite_rows import SqliteRows

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path

    from tokenservice.identity.rows import Rows

PATIENT = RedisOptions(connect_timeout_ms=5_000, socket_timeout_ms=5_000)
PATIENT_MS = 10_000


class Place(Protocol):
    """Where several processes keep the same rows."""

    async def rows(self, *, names: bytes = b"names", most: int = 100) -> Rows:
        """Open the place as one more process."""
        ...


class MemoryPlace:
    """The fake."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    async def rows(self, *, names: bytes = b"names", most: int = 100) -> Rows:
        """See Place."""
        return MemoryRows(self._shelf, names=names, most=most)


class FilePlace:
    """A file."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self._path, self._stack = path, stack

    async def rows(self, *, names: bytes = b"names", most: int = 100) -> Rows:
        """See Place."""
        rows = SqliteRows(self._path, names=names, timeout_ms=PATIENT_MS, most=most)
        self._stack.callback(rows.close)
        return rows


class ServedPlace:
    """A server, or a cluster, in which nobody else has our prefix."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url, self._stack = url, stack
        self._prefix = f"test-{secrets.token_hex(6)}"

    async def rows(self, *, names: bytes = b"names", most: int = 100) -> Rows:
        """See Place."""
        client = await self._stack.enter_async_context(open_redis(self._url, PATIENT))
        return RedisRows(client, names=names, prefix=self._prefix, timeout_ms=PATIENT_MS, most=most)
