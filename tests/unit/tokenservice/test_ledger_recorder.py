"""Each request has one row, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from ledger_rows import ASKED, CALLER, GRANT, KEY, NOW, FlakySink, issued

from serving.errors import ServiceError, Unauthenticated
from serving.health import SERVING
from tokenservice.errors import LedgerUnavailable, UpstreamUnavailable, UserBlocked
from tokenservice.issuer import IssuedToken
from tokenservice.ledger.ledger import FULL, Ledger
from tokenservice.ledger.names import Names
from tokenservice.ledger.recorder import Recorder

NAMES = Names(KEY)


def clock() -> int:
    """Stand still."""
    return NOW


async def serve(
    recorder: Recorder, ending: str, gate: asyncio.Event | None = None, number: int = 0
) -> IssuedToken:
    """Do what a service does with a request that ends in some way."""

    async def issue() -> IssuedToken:
        if gate is not None:
            await gate.wait()
        await asyncio.sleep(0)
        if ending == "failed":
            raise UpstreamUnavailable
        return issued(f"auth_tokens/{number}")

    with recorder.request(f"r-{number}", "t" * 32) as row:
        if ending == "unknown":
            raise Unauthenticated
        row.credential, row.caller, row.asked = "jwt", CALLER, ASKED
        await asyncio.sleep(0)
        if ending == "refused":
            raise UserBlocked
        row.grant = GRANT
        token = await row.issuing(issue())
        if ending == "defect":
            raise RuntimeError
        return token


async def test_rows_are_requests_exactly() -> None:
    """Of a thousand requests at once, each has one row with how it ended."""
    endings = ["issued", "refused", "failed", "unknown", "defect"]
    sink = FlakySink()
    async with Ledger(sink) as ledger:
        recorder = Recorder(ledger, NAMES, clock)
        requests = [
            asyncio.create_task(serve(recorder, endings[number % 5], number=number))
            for number in range(1_000)
        ]
        results = await asyncio.gather(*requests, return_exceptions=True)
    assert Counter(type(result).__name__ for result in results) == {
        "IssuedToken": 200,
        "UserBlocked": 200,
        "UpstreamUnavailable": 200,
        "Unauthenticated": 200,
        "RuntimeError": 200,
    }
    assert Counter((entry.outcome, entry.reason) for entry in sink.kept) == {
        ("issued", ""): 200,
        ("issued", "INTERNAL"): 200,
        ("refused", "USER_BLOCKED"): 200,
        ("refused", "UNAUTHENTICATED"): 200,
        ("failed", "UPSTREAM_UNAVAILABLE"): 200,
    }
    assert len({entry.id for entry in sink.kept}) == 1_000
    assert len({entry.request_id for entry in sink.kept}) == 1_000


@pytest.mark.parametrize(
    "ending, row",
    [
        ("issued", ("issued", "CALLER_LEFT", NAMES.token("0"))),
        ("failed", ("failed", "UPSTREAM_UNAVAILABLE", "")),
    ],
)
async def test_a_caller_who_left_has_the_row_of_what_became_of_it(
    ending: str, row: tuple[str, str, str]
) -> None:
    """Minting goes on when its caller hangs up: the row is written at its end, and says so."""
    sink, gate = FlakySink(), asyncio.Event()
    async with Ledger(sink) as ledger:
        recorder = Recorder(ledger, NAMES, clock)
        request = asyncio.create_task(serve(recorder, ending, gate))
        for _ in range(5):
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert ledger.pending + ledger.written == 0
        draining = asyncio.create_task(recorder.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        gate.set()
        await draining
    assert [(entry.outcome, entry.reason, entry.token) for entry in sink.kept] == [row]


async def test_a_caller_who_left_before_minting_has_a_row() -> None:
    """A call that was ended early is one that failed."""
    sink = FlakySink()
    async with Ledger(sink) as ledger:
        request = asyncio.create_task(serve(Recorder(ledger, NAMES, clock), "issued"))
        await asyncio.sleep(0)
        request.cancel()
        with suppress(asyncio.CancelledError):
            await request
    assert [(entry.outcome, entry.reason) for entry in sink.kept] == [("failed", "CALLER_LEFT")]


async def test_no_row_no_token() -> None:
    """If rows are required, no more requests begin than there is room for, and each has its row."""
    sink = FlakySink()
    sink.gate.clear()
    async with Ledger(sink, capacity=10) as ledger:
        recorder = Recorder(ledger, NAMES, clock, required=True)
        results = await asyncio.gather(
            *(serve(recorder, "issued", number=number) for number in range(50)),
            return_exceptions=True,
        )
        kinds = Counter(type(result) for result in results)
        assert kinds == {IssuedToken: 10, LedgerUnavailable: 40}
        assert (ledger.dropped, recorder.state) == (40, FULL)
        sink.gate.set()
        assert await ledger.change(FULL) == SERVING
        await serve(recorder, "issued", number=50)
    assert len(sink.kept) == 11


async def test_otherwise_tokens_are_issued_and_losses_counted() -> None:
    """If rows are not required, a full ledger stops nobody: rows and losses are all requests."""
    sink = FlakySink()
    sink.gate.clear()
    async with Ledger(sink, capacity=10) as ledger:
        recorder = Recorder(ledger, NAMES, clock)
        await asyncio.gather(*(serve(recorder, "issued", number=n) for n in range(50)))
        assert ledger.dropped == 40
        sink.gate.set()
    assert len(sink.kept) + ledger.dropped == 50


async def test_a_row_that_cannot_be_made_is_no_error_of_the_request() -> None:
    """A defect in accounting costs the row, which is counted, and not the token."""

    def broken() -> int:
        raise RuntimeError

    sink = FlakySink()
    async with Ledger(sink) as ledger:
        token = await serve(Recorder(ledger, NAMES, broken), "issued")
    assert token.decision_id == "d-1"
    assert (sink.kept, ledger.dropped) == ([], 1)


async def test_without_a_ledger_nothing_is_recorded() -> None:
    """A service without a ledger serves all the same."""
    recorder = Recorder(None, NAMES, clock, required=True)
    assert (await serve(recorder, "issued")).decision_id == "d-1"
    with pytest.raises(ServiceError):
        await serve(recorder, "refused")
    assert recorder.state == SERVING


async def test_each_change_of_the_state_is_reported() -> None:
    """Who watches hears how it is, and whenever that changes."""
    told: list[str] = []
    heard = asyncio.Event()

    async def report(state: str) -> None:
        told.append(state)
        heard.set()

    sink = FlakySink()
    sink.gate.clear()
    async with Ledger(sink, capacity=2) as ledger:
        recorder = Recorder(ledger, NAMES, clock)
        watching = asyncio.create_task(recorder.watch(report))
        await heard.wait()
        heard.clear()
        await serve(recorder, "issued")
        await heard.wait()
        heard.clear()
        sink.gate.set()
        await heard.wait()
        watching.cancel()
        await asyncio.wait({watching})
    assert told == [SERVING, FULL, SERVING]
