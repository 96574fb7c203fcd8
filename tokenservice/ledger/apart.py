"""Rows of tokens in one place, all others in another.

Whoever may not have a token can still make rows, as many as can be asked for. They push
out each other, and no row that says who got a token.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tokenservice.ledger.entry import Entry
    from tokenservice.ledger.ports import Sink, Source


class ApartSink:
    """Rows to two sinks."""

    def __init__(self, tokens: Sink, others: Sink) -> None:
        """Keep rows with a token in `tokens`, those without in `others`."""
        self._tokens, self._others = tokens, others
        self._kept: set[str] = set()
        """Rows of a try that failed in part, so that they are not written once a try."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """See Sink."""
        for sink, here in ((self._tokens, True), (self._others, False)):
            part = [e for e in entries if bool(e.token) is here and e.id not in self._kept]
            if part:
                await sink.append(part)
                self._kept.update(entry.id for entry in part)
        self._kept.clear()

    async def close(self) -> None:
        """See Sink."""
        await self._tokens.close()
        await self._others.close()


class ApartSource:
    """Rows of two sources, in one order."""

    def __init__(self, one: Source, other: Source) -> None:
        """Read both."""
        self._sources = one, other

    async def rows(self, since: int) -> AsyncGenerator[Entry]:
        """See Source."""
        one, other = (source.rows(since) for source in self._sources)
        async with aclosing(one), aclosing(other):
            mine, its = await anext(one, None), await anext(other, None)
            while mine is not None or its is not None:
                if its is None or (mine is not None and mine.at >= its.at):
                    assert mine is not None  # noqa: S101 - one of the two is there
                    yield mine
                    mine = await anext(one, None)
                else:
                    yield its
                    its = await anext(other, None)
