"""A process that is told to stop leaves every row behind; one that is killed, whole rows."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ledger_rows import KEY, found
from servers import valkey_server

from tokenservice.ledger.opening import open_source
from tokenservice.ledger.settings import LedgerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPPORT = Path(__file__).parents[1] / "support"


async def started(**variables: str) -> asyncio.subprocess.Process:
    """Start a process that records, and wait until it has begun to."""
    environment: Mapping[str, str] = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TOKENSERVICE_", "OTEL_"))},
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])]),
        "TOKENSERVICE_HASH_KEY": KEY.decode(),
        "DRAIN_SECONDS": "30",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SUPPORT / "ledger_process.py",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    return process


async def stopped(process: asyncio.subprocess.Process) -> int:
    """Stop a process as systemd does, and return how many requests it says there were."""
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"ledger drops" not in err
    return int(out)


async def kept(**settings: Any) -> list[Any]:
    """Return all rows, as the command finds them."""
    given: dict[str, Any] = {"hash_key": KEY.decode(), **settings}
    async with open_source(LedgerSettings(**given)) as source:
        return await found(source)


def check(rows: list[Any], requests: int) -> None:
    """Check that each request has its row, and those that were left behind say so."""
    assert sorted(int(entry.request_id[2:]) for entry in rows) == list(range(requests))
    left = {"CALLER_LEFT": 10}
    for entry in rows:
        if entry.outcome == "refused":
            assert (int(entry.request_id[2:]) % 3, entry.reason) == (0, "USER_BLOCKED")
        elif entry.reason:
            left[entry.reason] -= 1
    assert left == {"CALLER_LEFT": 0}


async def test_a_stop_leaves_every_row_in_the_files(tmp_path: Path) -> None:
    """After SIGTERM the files have a row for each request, also of those left behind."""
    path = tmp_path / "ledger.jsonl"
    requests = await stopped(await started(TOKENSERVICE_LEDGER=str(path)))
    check(await kept(ledger=str(path)), requests)


async def test_a_stop_leaves_every_row_in_the_stream(tmp_path: Path) -> None:
    """After SIGTERM the server has a row for each request, be it away for a part of the time."""
    async with valkey_server(tmp_path / "server") as server:
        process = await started(TOKENSERVICE_STORE_URL=server.url)
        server.pause()
        stopping = asyncio.create_task(stopped(process))
        await asyncio.wait({stopping}, timeout=1.5)
        assert not stopping.done()
        server.resume()
        requests = await stopping
        check(await kept(store_url=server.url), requests)


async def test_a_kill_leaves_whole_rows_and_a_file_to_go_on_with(tmp_path: Path) -> None:
    """After SIGKILL what was written is there, in order, and the next process adds to it."""
    path = tmp_path / "ledger.jsonl"
    process = await started(TOKENSERVICE_LEDGER=str(path))
    async with asyncio.timeout(60):
        while path.read_bytes().count(b"\n") < 3:  # noqa: ASYNC110 - of both kinds
            await asyncio.sleep(0.01)
    process.kill()
    await process.communicate()
    before = await kept(ledger=str(path))
    for refused in (True, False):
        numbers = [int(e.request_id[2:]) for e in before if (e.outcome == "refused") is refused]
        assert numbers == [n for n in reversed(range(numbers[0] + 1)) if (n % 3 == 0) is refused]
    requests = await stopped(await started(TOKENSERVICE_LEDGER=str(path)))
    after = await kept(ledger=str(path))
    check(after[:requests], requests)
    assert after[requests:] == before


@pytest.mark.parametrize(
    "variables, line",
    [
        (
            {"TOKENSERVICE_LEDGER": "/proc/ledger/x.jsonl"},
            "tokenservice: cannot write /proc/ledger/x.jsonl: No such file or directory",
        ),
        (
            {"TOKENSERVICE_LEDGER": "x.jsonl", "TOKENSERVICE_HASH_KEY": ""},
            "tokenservice: TOKENSERVICE_HASH_KEY: must be at least 32 bytes",
        ),
        (
            {"TOKENSERVICE_ON_LEDGER_FAILURE": "refuse"},
            (
                "tokenservice: TOKENSERVICE_ON_LEDGER_FAILURE: there is no ledger: "
                "set TOKENSERVICE_LEDGER"
            ),
        ),
    ],
)
async def test_a_ledger_that_cannot_be_stops_the_start(
    variables: dict[str, str], line: str
) -> None:
    """What cannot be written, or contradicts itself, is one line, and no process."""
    environment = {"TOKENSERVICE_HASH_KEY": KEY.decode(), **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SUPPORT / "ledger_process.py",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])]),
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode in {1, 2}
    assert err.decode().splitlines() == [line]
