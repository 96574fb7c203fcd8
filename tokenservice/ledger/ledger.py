"""The ledger: takes rows at once, and writes them when it can.

Nobody waits for a disk or a server. Rows go through a bounded queue to one writer, which
tries again until they are kept; only what finds the queue full is dropped, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Self

import structlog

from serving.log_areas import debugging
from serving.losses import Losses
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from tokenservice.ledger.entry import Entry
    from tokenservice.ledger.ports import Sink

log = structlog.get_logger(__name__)

SERVING = "SERVING"
"""As serving.health has it, which would bring gRPC along."""
FAILING = "LEDGER_FAILING"
"""Rows wait in memory: the last attempt to keep some failed, or takes long."""
FULL = "LEDGER_FULL"
"""The room to wait in is half used up, or all: rows without a token are dropped, then all."""

_CAPACITY = 10_000
"""Rows that wait: some ten megabytes, and minutes of a busy service."""
_BATCH = 200
_SLOW_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Ledger:
    """Keeps rows in a sink. For one event loop; enter it to start the writer."""

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = _CAPACITY,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        slow_seconds: float = _SLOW_SECONDS,
        close_seconds: float = 5.0,
    ) -> None:
        """Keep rows in `sink`, which is closed in the end; let `capacity` of them wait for it.

        On leaving, the rows that wait may take `close_seconds`. `pause` is for tests.
        """
        self._sink = sink
        self._capacity = capacity
        self._pause = pause
        self._slow_seconds, self._close_seconds = slow_seconds, close_seconds
        self._waiting: deque[Entry] = deque()
        self._dropped = self._written = 0
        self._losses = Losses("ledger", "rows", metric="ledger")
        self._failing = self._closed = False
        self._work, self._news = asyncio.Event(), asyncio.Event()
        self._nap: asyncio.Future[None] | None = None
        self._appending = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        self._writer = asyncio.create_task(self._write(), name="ledger")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, with everything kept if it can be."""
        await self.close(self._close_seconds)

    @property
    def state(self) -> str:
        """How it is, for a health board: `SERVING`, or why not."""
        if self._full:
            return FULL
        return FAILING if self._failing else SERVING

    @property
    def _full(self) -> bool:
        # So that no flood of refusals takes the room of what is issued meanwhile.
        return len(self._waiting) >= self._capacity // 2

    @property
    def room(self) -> int:
        """How many rows of tokens could come now and wait."""
        return 0 if self._closed else max(0, self._capacity - len(self._waiting))

    @property
    def pending(self) -> int:
        """How many rows wait."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many rows were dropped since the start."""
        return self._dropped

    @property
    def written(self) -> int:
        """How many rows were kept since the start."""
        return self._written

    def record(self, entry: Entry) -> None:
        """Take a row. Never waits, never fails: without room the row is dropped, and counted."""
        if not self.room or (self._full and not entry.token):
            self.drop("it is closed" if self._closed else "more rows wait than there is room for")
            return
        self._waiting.append(entry)
        self._work.set()
        self._tell()

    def drop(self, cause: str, count: int = 1) -> None:
        """Count rows that are not to be had."""
        self._dropped += count
        self._losses.add(cause, count)

    async def change(self, known: str) -> str:
        """Return the state once it is another than `known`."""
        while self.state == known:
            self._news.clear()
            await self._news.wait()
        return self.state

    async def close(self, seconds: float) -> None:
        """Keep all rows that wait, but try no longer than this; then let go of the sink."""
        if self._writer is None or self._closed:
            return
        self._closed = True
        self._work.set()
        if self._nap is not None:
            self._nap.cancel()  # the last tries do not wait for the next
        await asyncio.wait({self._writer}, timeout=seconds)
        stuck = self._appending
        self._writer.cancel()  # without effect on one that is done
        await asyncio.wait({self._writer})
        if self._waiting:
            self.drop("the stop did not wait", len(self._waiting))
        self._losses.end()
        if not stuck:
            await self._sink.close()

    async def _write(self) -> None:
        delay = _FIRST_PAUSE
        while self._waiting or not self._closed:
            if not self._waiting:
                self._work.clear()
                await self._work.wait()
                continue
            batch = list(islice(self._waiting, _BATCH))
            if await self._kept(batch):
                delay = _FIRST_PAUSE
                for _ in batch:
                    self._waiting.popleft()
                self._written += len(batch)
                if debugging(__name__):
                    log.debug("rows written", count=len(batch), waiting=len(self._waiting))
                self._losses.none()
                self._tell()
            else:
                delay = _FIRST_PAUSE if self._closed else delay
                await self._rest(delay)
                delay = min(2 * delay, _LONGEST_PAUSE)

    async def _rest(self, seconds: float) -> None:
        self._nap = asyncio.ensure_future(self._pause(seconds))
        try:
            await asyncio.wait({self._nap})
        finally:
            self._nap.cancel()
            self._nap = None

    async def _kept(self, batch: list[Entry]) -> bool:
        append = asyncio.ensure_future(self._sink.append(batch))
        self._appending = True
        try:
            # Not cancelled: what is half done may still be kept, and then be kept twice.
            done, _ = await asyncio.wait({append}, timeout=self._slow_seconds)
            if not done:
                self._fail("it takes long")
            await append
        except Exception as error:  # noqa: BLE001 - whatever it is, rows are not lost for it
            self._fail(_told(error))
            return False
        finally:
            append.cancel()
            self._appending = False
        if self._failing:
            log.info("ledger is written again", waiting=len(self._waiting) - len(batch))
        self._failing = False
        return True

    def _fail(self, cause: str) -> None:
        if not self._failing:
            log.warning("ledger cannot be written", cause=cause, waiting=len(self._waiting))
        self._failing = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()


def _told(error: Exception) -> str:
    """Say what failed without a path, and without what may repeat a row."""
    match error:
        case OSError():
            return error.strerror or type(error).__name__
        case StoreUnavailable():
            return str(error)
        case _:
            return type(error).__name__
