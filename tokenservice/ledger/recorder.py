"""One row for each request, whatever becomes of it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenservice.errors import LedgerUnavailable
from tokenservice.ledger.ledger import SERVING
from tokenservice.ledger.rows import entry_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from serving.clock import Clock
    from tokenservice.grant import Grant, TokenRequest
    from tokenservice.issuer import IssuedToken
    from tokenservice.ledger.ledger import Ledger
    from tokenservice.ledger.names import Names
    from tokenservice.principal import Caller


class Recorder:
    """Writes the rows of requests. Without a ledger, it does nothing."""

    def __init__(
        self, ledger: Ledger | None, names: Names, clock: Clock, *, required: bool = False
    ) -> None:
        """Write to `ledger`; if that is `required`, refuse requests it has no room for."""
        self.ledger = ledger
        self._names = names
        self._clock = clock
        self._required = required
        self._open = 0
        self._left_behind: set[asyncio.Task[IssuedToken]] = set()

    @property
    def state(self) -> str:
        """How the ledger is, for a health board: `SERVING`, or why not."""
        return self.ledger.state if self.ledger else SERVING

    @contextmanager
    def request(self, request_id: str = "", trace_id: str = "") -> Iterator[Row]:
        """Account for what is done in the block: its row is written when the block ends.

        Raises:
            LedgerUnavailable: There is no room for the row. The refusal has none either,
                and is counted as a dropped one.

        """
        if self._required and self.ledger is not None and self.ledger.room <= self._open:
            self.ledger.drop("tokens are not issued without one")
            raise LedgerUnavailable
        row = Row(request_id, trace_id)
        self._open += 1
        try:
            yield row
        except BaseException as error:
            row.error = error
            raise
        finally:
            self._end(row)

    async def watch(self, report: Callable[[str], Awaitable[object]]) -> None:
        """Report the ledger's state, and each change of it; for ever, if there is a ledger."""
        state = self.state
        await report(state)
        while self.ledger is not None:
            state = await self.ledger.change(state)
            await report(state)

    async def drain(self) -> None:
        """Wait for what callers left behind, so that it has its rows."""
        while self._left_behind:
            await asyncio.wait(self._left_behind)

    def _end(self, row: Row) -> None:
        if row.work is None:
            self._write(row)
        elif row.work.done():
            self._write_ended(row, row.work)
        else:
            # The caller has gone, and minting goes on: only its end tells what to write.
            self._left_behind.add(row.work)
            row.work.add_done_callback(lambda work: self._write_ended(row, work))

    def _write_ended(self, row: Row, work: asyncio.Task[IssuedToken]) -> None:
        self._left_behind.discard(work)
        if not work.cancelled():
            if work.exception() is None:
                row.issued = work.result()
            else:
                row.error = work.exception()
        self._write(row)

    def _write(self, row: Row) -> None:
        self._open -= 1
        if self.ledger is None:
            return
        try:
            entry = entry_of(
                self._names,
                now=self._clock(),
                request_id=row.request_id,
                trace_id=row.trace_id,
                credential=row.credential,
                caller=row.caller,
                asked=row.asked,
                grant=row.grant,
                issued=row.issued,
                error=row.error,
            )
        except Exception as error:  # noqa: BLE001 - a defect here is not to become the caller's
            self.ledger.drop(f"{type(error).__name__}: no row can be made of a request")
            return
        self.ledger.record(entry)


class Row:
    """What is known of a request so far; to be filled in as it becomes known."""

    def __init__(self, request_id: str, trace_id: str) -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.credential = ""
        self.caller: Caller | None = None
        self.asked: TokenRequest | None = None
        self.grant: Grant | None = None
        self.issued: IssuedToken | None = None
        self.error: BaseException | None = None
        self.work: asyncio.Task[IssuedToken] | None = None

    async def issuing(self, work: Coroutine[Any, Any, IssuedToken]) -> IssuedToken:
        """Return what `work` issues. A caller who hangs up does not end it."""
        self.work = asyncio.ensure_future(work)
        self.issued = await asyncio.shield(self.work)
        return self.issued
