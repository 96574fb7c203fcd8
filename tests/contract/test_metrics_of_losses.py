"""What is dropped, awaited or away shows in a number, at the moment when it happens."""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest
from ledger_rows import FlakySink, row
from metering import Measured, measured
from oidc import AUDIENCE, ISSUER, NOW, published, signing_key

from policy.decision_log import DecisionLog
from serving import measuring, metrics
from serving.health import SERVING, HealthBoard
from serving.log_writing import LineWriter
from tokenservice.identity.issuers import read_issuers
from tokenservice.identity.trust import Trust, open_bearers
from tokenservice.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def counted() -> Iterator[Measured]:
    """Return what is measured from now on."""
    with measured() as begun:
        yield begun


async def test_rows_of_the_ledger(counted: Measured) -> None:
    """Those for which there was no room, and those that the stop did not wait for."""
    sink = FlakySink()
    sink.gate.clear()
    async with Ledger(sink, capacity=2, close_seconds=0) as ledger:
        for number in range(5):
            ledger.record(row(number))
        dropped = ledger.dropped
        assert counted.more(metrics.RECORDS_DROPPED, log="ledger") == dropped > 0
    assert counted.more(metrics.RECORDS_DROPPED, log="ledger") == ledger.dropped > dropped


class _StuckSink:
    """A disk that takes its time."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def write(self, line: bytes) -> None:  # noqa: ARG002 - Sink's
        """Wait."""
        self.begun.set()
        self.go_on.wait()

    def close(self) -> None:
        """Do nothing."""


def test_entries_of_the_decision_log(counted: Measured) -> None:
    """Those that find the queue full."""
    sink = _StuckSink()
    log = DecisionLog(sink, capacity=1)
    log.write({"v": 1})
    sink.begun.wait(20)
    for _ in range(4):
        log.write({"v": 1})
    assert counted.more(metrics.RECORDS_DROPPED, log="decisions") == 3
    sink.go_on.set()
    log.close()
    assert counted.more(metrics.RECORDS_DROPPED, log="decisions") == 3


def test_lines_of_the_log(counted: Measured) -> None:
    """Those that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        handler = LineWriter(stream)
        for _ in range(3):
            handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "line", None, None))
        handler.close()
    assert counted.more(metrics.RECORDS_DROPPED, log="lines") >= 3
    assert counted.more(metrics.RECORDS_DROPPED) == counted.more(
        metrics.RECORDS_DROPPED, log="lines"
    )


async def test_the_age_of_signing_keys(counted: Measured) -> None:
    """It grows until they are fetched, also where they never were, and ends with who needs them."""
    seconds = NOW
    age = metrics.JWKS_AGE
    async with published() as endpoint:
        issuer = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": endpoint.url}
        trust = Trust(issuers=read_issuers(json.dumps([issuer])))
        async with open_bearers(trust, lambda: seconds * 1000) as bearers:
            keys = bearers.published[ISSUER]
            endpoint.status(503)
            seconds += 90
            assert not await keys.refresh()
            assert counted.now(age, issuer=ISSUER) == 90
            endpoint.keys(signing_key("RS256", "a"))
            assert await keys.refresh()
            assert counted.now(age, issuer=ISSUER) == 0
            seconds += 7
            assert counted.now(age, issuer=ISSUER) == 7
    assert counted.now(age, issuer=ISSUER) is None


async def test_what_is_depended_on(counted: Measured) -> None:
    """A dependency is up while it serves; what is not known yet, or only noted, is told too."""
    board = HealthBoard(["s"], ["gemini", "policy"], noted=["ledger"])
    up = metrics.DEPENDENCY_UP
    with up.reading(board.up):
        await board.report("gemini", SERVING)
        await board.report("ledger", "LEDGER_FULL")
        assert [counted.now(up, dependency=d) for d in ("gemini", "policy", "ledger")] == [1, 0, 0]
        await board.report("gemini", "UPSTREAM_UNAVAILABLE")
        assert counted.now(up, dependency="gemini") == 0
    assert counted.now(up, dependency="gemini") is None


def test_how_much_may_be_at_work(counted: Measured) -> None:
    """For as long as it may."""
    with measuring.capacity(17):
        assert counted.now(metrics.RPC_CAPACITY) == 17
    assert counted.now(metrics.RPC_CAPACITY) is None
