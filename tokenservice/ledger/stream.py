"""The ledger in a Redis Stream, for any number of replicas: Redis or Valkey, 7 or later.

    PREFIX:ledger             rows of tokens: an entry each, with JSON in its field `row`
    PREFIX:ledger:refusals    all other rows, likewise; ids are the server's

Beside what the store of identities needs, a replica's user may `+xadd +xtrim`, and who
searches the ledger `+xrevrange`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from serving.redis.link import Client, Link
from serving.stores import StoreUnavailable
from tokenservice.ledger.entry import Entry, Malformed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

log = structlog.get_logger(__name__)

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_PAGE = 500
_CALLS = 2
_FIELD = "row"


class Stream:
    """Rows to a stream, and from it. What is trimmed goes by the server's time, not by ours."""

    def __init__(
        self,
        client: Client,
        key: str,
        *,
        retention_days: int,
        max_rows: int,
        timeout_ms: int,
    ) -> None:
        """Use `client`, which open_redis made; it stays the caller's to close.

        Rows older than `retention_days`, and those beyond `max_rows`, are removed as
        others come, in whole nodes of the stream (`~`), so some stay a little longer.
        """
        self._link = Link(client, timeout_ms=timeout_ms, calls=_CALLS)
        self._key = key
        self._retention_ms = retention_days * _DAY_MS
        self._max_rows = max_rows
        self._trims = True

    async def append(self, entries: Sequence[Entry]) -> None:
        """See Sink. Of rows that come again, those that were written before are there twice.

        Raises:
            StoreUnavailable: Some may not have been written.

        """
        adds = [("XADD", self._key, "*", _FIELD, entry.to_json()) for entry in entries]
        ids = await self._link.within(self._link.run_all(adds), "ledger_append")
        await self._trim(int(ids[-1].partition(b"-")[0]))

    async def close(self) -> None:
        """See Sink."""

    async def _trim(self, now: int) -> None:
        oldest = max(0, now - self._retention_ms)
        trims = [
            ("XTRIM", self._key, "MINID", "~", oldest),
            ("XTRIM", self._key, "MAXLEN", "~", self._max_rows),
        ]
        try:
            await self._link.within(self._link.run_all(trims), "ledger_trim")
        except StoreUnavailable as error:  # the rows are kept; to write them again is no help
            if self._trims:
                log.warning("ledger cannot be trimmed", cause=str(error))
            self._trims = False
        else:
            self._trims = True

    async def rows(self, since: int) -> AsyncGenerator[Entry]:
        """See Source.

        Raises:
            StoreUnavailable: They cannot be read.

        """
        # The server's clock may be behind that of who wrote the row.
        oldest, end = max(0, since - _HOUR_MS), "+"
        while True:
            page = await self._link.within(self._page(end, oldest), "ledger_find")
            for _, fields in page:
                try:
                    yield Entry.from_json(fields[_FIELD.encode()])
                except (KeyError, Malformed):
                    continue  # by somebody else's hand
            if len(page) < _PAGE:
                return
            end = f"({page[-1][0].decode()}"

    async def _page(self, end: str, oldest: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        command = ("XREVRANGE", self._key, end, oldest, "COUNT", _PAGE)
        (page,) = await self._link.run_all([command])
        found: list[Any] = page
        return found
