"""The ledger takes rows at once, and loses none that it has room for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from ledger_rows import FlakySink, row
from structlog.testing import capture_logs

from serving.health import SERVING
from serving.stores import StoreUnavailable
from tokenservice.ledger.ledger import FAILING, FULL, Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenservice.ledger.entry import Entry


class Pauses:
    """Waits until it is let go on, and remembers for how long it was asked to wait."""

    def __init__(self) -> None:
        """Hold whoever pauses."""
        self.asked: list[float] = []
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        """Pause."""
        self.asked.append(seconds)
        self.begun.set()
        await self.over.wait()

    async def until_begun(self) -> None:
        """Wait for a pause to begin."""
        await self.begun.wait()
        self.begun.clear()

    def end(self) -> None:
        """Let this pause end, and hold the next."""
        self.over.set()
        self.over = asyncio.Event()


async def test_what_was_recorded_is_kept_in_its_order() -> None:
    """On leaving, every row is in the sink, in the order they came, and the sink is closed."""
    sink = FlakySink()
    async with Ledger(sink) as ledger:
        for number in range(1_000):
            ledger.record(row(number))
            if not number % 7:
                await asyncio.sleep(0)
    assert sink.kept == [row(number) for number in range(1_000)]
    assert (ledger.written, ledger.pending, ledger.dropped, sink.closed) == (1_000, 0, 0, True)


async def test_recording_waits_for_nothing() -> None:
    """While the sink hangs, rows are taken; it is told of as failing, and not asked twice."""
    sink = FlakySink()
    sink.gate.clear()
    async with Ledger(sink, slow_seconds=0) as ledger:
        ledger.record(row(0))
        await sink.asked.wait()
        assert await ledger.change(SERVING) == FAILING
        for number in range(1, 500):
            ledger.record(row(number))
        assert ledger.pending == 500
        sink.gate.set()
        assert await ledger.change(FAILING) == SERVING
    assert sink.kept == [row(number) for number in range(500)]


@pytest.mark.parametrize("torn", [False, True])
async def test_a_sink_that_fails_for_a_while_loses_nothing(*, torn: bool) -> None:
    """Rows wait while it fails, are tried again less and less often, and all are kept."""
    sink, pauses = FlakySink(), Pauses()
    sink.broken, sink.torn = StoreUnavailable("the store failed: TimeoutError"), torn
    with capture_logs() as logged:
        async with Ledger(sink, pause=pauses) as ledger:
            for number in range(300):
                ledger.record(row(number))
            for _ in range(8):
                await pauses.until_begun()
                assert ledger.state == FAILING
                pauses.end()
            await pauses.until_begun()
            sink.broken = None
            pauses.end()
            assert await ledger.change(FAILING) == SERVING
    assert list(dict.fromkeys(sink.kept)) == [row(number) for number in range(300)]
    assert pauses.asked == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
    assert [line["event"] for line in logged] == [
        "ledger cannot be written",
        "ledger is written again",
    ]
    assert (ledger.dropped, ledger.written) == (0, 300)


async def test_a_full_ledger_drops_counts_and_says_so() -> None:
    """Beyond its room rows are dropped; health and log say so, once; what waited is kept."""
    sink = FlakySink()
    sink.gate.clear()
    with capture_logs() as logged:
        async with Ledger(sink, capacity=100) as ledger:
            for number in range(130):
                ledger.record(row(number, token="T"))
            assert (ledger.state, ledger.dropped, ledger.room) == (FULL, 30, 0)
            sink.gate.set()
            assert await ledger.change(FULL) == SERVING
            ledger.record(row(999))
    assert sink.kept == [*(row(number, token="T") for number in range(100)), row(999)]
    assert [(line["event"], line["dropped"]) for line in logged] == [
        ("ledger drops rows", 1),
        ("ledger keeps rows again", 30),
    ]


async def test_refusals_leave_room_for_tokens() -> None:
    """Rows without a token take half of the room at most, however many there are."""
    sink = FlakySink()
    sink.gate.clear()
    with capture_logs():
        async with Ledger(sink, capacity=100) as ledger:
            for number in range(1_000):
                ledger.record(row(number, outcome="refused"))
            assert (ledger.state, ledger.dropped, ledger.room) == (FULL, 950, 50)
            ledger.record(row(1_000, token="T"))
            sink.gate.set()
    assert sink.kept[-1] == row(1_000, token="T")
    assert (len(sink.kept), ledger.dropped) == (51, 950)


async def test_the_last_tries_do_not_wait_for_the_next() -> None:
    """A stop in the middle of a long pause tries at once, and keeps what waited."""
    sink, pauses = FlakySink(), Pauses()
    sink.broken = OSError(28, "No space left on device")
    async with Ledger(sink, pause=pauses) as ledger:
        ledger.record(row(1))
        await pauses.until_begun()
        sink.broken = None
    assert sink.kept == [row(1)]
    assert ledger.dropped == 0


async def test_a_stop_does_not_wait_for_ever() -> None:
    """What a sink does not take until the end is counted and told."""
    sink = FlakySink()
    sink.gate.clear()
    ledger = Ledger(sink)
    with capture_logs() as logged:
        async with ledger:
            ledger.record(row(1))
            ledger.record(row(2))
            await sink.asked.wait()
            await ledger.close(0)
    assert ledger.dropped == 2
    assert logged[-1]["dropped"] == 2


async def test_what_comes_after_the_end_is_counted() -> None:
    """A row for a ledger that is closed is dropped, and no error."""
    async with Ledger(FlakySink()) as ledger:
        pass
    with capture_logs() as logged:
        ledger.record(row(1))
    assert ledger.dropped == 1
    assert logged[0]["cause"] == "it is closed"


async def test_a_defect_of_a_sink_stops_nothing() -> None:
    """Any exception is a failure to be tried again, and its words stay out of the log."""

    class Defective(FlakySink):
        tries = 0

        async def append(self, entries: Sequence[Entry]) -> None:
            self.tries += 1
            if self.tries < 3:
                raise KeyError("canary")
            await super().append(entries)

    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    sink = Defective()
    with capture_logs() as logged:
        async with Ledger(sink, pause=no_pause) as ledger:
            ledger.record(row(1))
    assert sink.kept == [row(1)]
    assert "canary" not in str(logged)
