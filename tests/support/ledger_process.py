"""A process that does nothing but record requests, until it is told to stop.

It prints `begun` once some are recorded, and in the end how many were.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from ledger_rows import CALLER, GRANT, issued

from serving.clock import steady_clock
from serving.process import run
from tokenservice.errors import UserBlocked
from tokenservice.ledger.opening import open_recorder
from tokenservice.ledger.settings import LedgerSettings

if TYPE_CHECKING:
    from tokenservice.ledger.recorder import Recorder

_BEGUN = 500


async def serve(settings: LedgerSettings, stop: asyncio.Event) -> None:
    """Record until `stop`, and some more that callers left behind."""
    async with open_recorder(settings, steady_clock()) as recorder:
        number = 0
        while not stop.is_set():
            await one(recorder, number)
            number += 1
            if number == _BEGUN:
                say("begun")
            if not number % 50:
                await asyncio.sleep(0.001)
        for _ in range(10):
            left = asyncio.create_task(one(recorder, number, slow=True))
            number += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left.cancel()
        say(str(number))


def say(line: str) -> None:
    """Tell who started us."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def one(recorder: Recorder, number: int, *, slow: bool = False) -> None:
    """Record one request: every third is refused."""

    async def issue() -> Any:
        if slow:
            await asyncio.sleep(0.05)
        return issued(f"auth_tokens/{number}")

    with recorder.request(f"r-{number}") as row:
        row.caller, row.grant = CALLER, GRANT
        if number % 3 or slow:
            await row.issuing(issue())
        else:
            row.error = UserBlocked()


if __name__ == "__main__":
    run("tokenservice", LedgerSettings, serve)
