"""Where rows go, and where they are found again."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tokenservice.ledger.entry import Entry


class Sink(Protocol):
    """Keeps rows."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Keep rows, in their order; on return they are kept.

        Is cancelled by nobody: it must end by itself. Any exception means that some
        may not be kept; all of them come again then, so one may be kept twice.
        """
        ...

    async def close(self) -> None:
        """Let go of what is held. No append is under way, or ever comes again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows are looked for: those that have all of what is given."""

    user: str = ""
    token: str = ""
    decision_id: str = ""
    trace_id: str = ""
    request_ids: frozenset[str] = frozenset()
    """Any of them: a request id may stand as it is, or hashed."""
    since: int = 0
    """In milliseconds since the epoch."""
    limit: int = 100
    """The newest so many."""

    def matches(self, entry: Entry) -> bool:
        """Return whether a row is looked for."""
        return (
            entry.at >= self.since
            and self.user in {"", entry.user}
            and self.token in {"", entry.token}
            and self.decision_id in {"", entry.decision_id}
            and self.trace_id in {"", entry.trace_id}
            and (not self.request_ids or entry.request_id in self.request_ids)
        )


class Source(Protocol):
    """What rows can be read from."""

    def rows(self, since: int) -> AsyncGenerator[Entry]:
        """Return rows, newest first as they were written; those from before `since` may end it."""
        ...


async def find(source: Source, query: Query) -> AsyncGenerator[Entry]:
    """Return the rows that are looked for, newest first, each once."""
    seen: set[str] = set()
    async with aclosing(source.rows(query.since)) as rows:
        async for entry in rows:
            if entry.id not in seen and query.matches(entry):
                seen.add(entry.id)
                yield entry
                if len(seen) >= query.limit:
                    return
