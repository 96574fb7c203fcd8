"""Where rows are kept: in files and in a stream of a real server, held to one contract."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from ledger_rows import (
    ADDRESS,
    ASKED,
    CALLER,
    GRANT,
    KEY,
    NOW,
    SUBJECT,
    TOKEN,
    found,
    issued,
    row,
)
from servers import ValkeyServer, valkey_server
from servers_cluster import valkey_cluster
from structlog.testing import capture_logs

from serving.redis.connect import RedisOptions, open_redis
from serving.settings import load
from tokenservice.cli.ledger import ledger
from tokenservice.errors import UserBlocked
from tokenservice.ledger.jsonl import JsonlSink, JsonlSource
from tokenservice.ledger.ledger import FAILING, Ledger
from tokenservice.ledger.names import Names
from tokenservice.ledger.opening import open_recorder
from tokenservice.ledger.recorder import Recorder
from tokenservice.ledger.settings import LedgerSettings
from tokenservice.ledger.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tokenservice.ledger.ports import Sink, Source

PATIENT = RedisOptions(connect_timeout_ms=5_000, socket_timeout_ms=5_000)
BUSY = 450
"""Rows: more than a batch."""


def stream(client: Any, *, max_rows: int = 100_000, retention_days: int = 90) -> Stream:
    """Return a stream on a server."""
    return Stream(
        client, "lt-id:ledger", retention_days=retention_days, max_rows=max_rows, timeout_ms=10_000
    )


def content(path: Path) -> bytes:
    """Return what is in a file."""
    return path.read_bytes()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    """Run a server."""
    async with valkey_server(tmp_path / "server") as server:
        yield server


@asynccontextmanager
async def place(kind: str, tmp_path: Path) -> AsyncIterator[tuple[Sink, Source]]:
    """Yield a sink and what reads it again."""
    if kind == "jsonl":
        path = tmp_path / "ledger.jsonl"
        yield (
            JsonlSink(path, lambda: NOW, max_bytes=20_000, backups=10, retention_days=90),
            JsonlSource(path),
        )
        return
    async with (
        valkey_server(tmp_path / "server") as server,
        open_redis(server.url, PATIENT) as client,
    ):
        yield stream(client), stream(client)


@pytest.fixture(params=["jsonl", "valkey"])
async def kept(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Sink, Source]]:
    """Return each place in turn."""
    async with place(request.param, tmp_path) as both:
        yield both


async def test_what_was_recorded_is_found_newest_first(kept: tuple[Sink, Source]) -> None:
    """All rows of a ledger that was left are found, whole and once, the newest first."""
    sink, source = kept
    async with Ledger(sink) as ledger:
        for number in range(BUSY):
            ledger.record(row(number))
    assert ledger.dropped == 0
    assert await found(source) == [row(number) for number in reversed(range(BUSY))]


async def test_rows_are_found_by_each_name(kept: tuple[Sink, Source]) -> None:
    """A token, a user, a decision, a request, a trace and a time find what they name."""
    sink, source = kept
    one = row(7, token="T" * 24, user="U" * 16, request_id="r-7", trace_id="7" * 32)
    await sink.append([row(1), one, row(8, user="U" * 16), row(9)])
    for query in (
        {"token": "T" * 24},
        {"decision_id": "d-7"},
        {"request_ids": frozenset({"r-7", "hmac:7"})},
        {"trace_id": "7" * 32},
        {"user": "U" * 16, "token": "T" * 24},
    ):
        assert await found(source, **query) == [one]
    assert await found(source, user="U" * 16) == [row(8, user="U" * 16), one]
    assert await found(source, since=NOW + 8) == [row(9), row(8, user="U" * 16)]
    assert await found(source, limit=1) == [row(9)]
    assert await found(source, token="T" * 23) == []
    assert await found(source, user="U" * 16, decision_id="d-9") == []


async def test_a_row_that_came_twice_is_found_once(kept: tuple[Sink, Source]) -> None:
    """What was written again, because nobody knew whether it was, is one row."""
    sink, source = kept
    await sink.append([row(1), row(2)])
    await sink.append([row(1), row(2), row(3)])
    assert await found(source) == [row(3), row(2), row(1)]


async def test_the_bytes_name_nobody(
    kept: tuple[Sink, Source], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Neither files nor server hold a subject, an address, a token, a key or an instruction."""
    sink, source = kept
    async with Ledger(sink) as ledger:
        recorder = Recorder(ledger, Names(KEY), lambda: NOW)

        async def issue() -> Any:
            return issued()

        with recorder.request("canary-subject@example.com", "t" * 32) as open_row:
            open_row.caller, open_row.asked, open_row.grant = CALLER, ASKED, GRANT
            await open_row.issuing(issue())
        with suppress(UserBlocked), recorder.request(ADDRESS + " ") as open_row:
            open_row.caller = CALLER
            raise UserBlocked
    text = b"".join(entry.to_json() for entry in await found(source))
    if request.node.callspec.params["kept"] == "jsonl":
        text = content(tmp_path / "ledger.jsonl")
    assert text.count(b'"outcome"') == 2
    secrets = ("canary", ADDRESS, SUBJECT, TOKEN, KEY.decode())
    assert [secret for secret in secrets if secret.encode() in text] == []


async def test_a_server_that_comes_back_loses_nothing(server: ValkeyServer) -> None:
    """While the server is away rows wait, and when it is back they are all there."""
    async with open_redis(server.url) as client:
        await stream(client).append([row(999)])
        server.pause()
        async with Ledger(stream(client)) as ledger:
            for number in range(300):
                ledger.record(row(number))
            assert await ledger.change("SERVING") == FAILING
            server.resume()
            assert await ledger.change(FAILING) == "SERVING"
        assert ledger.dropped == 0
        numbers = [entry.at - NOW for entry in await found(stream(client))]
        assert numbers == [*reversed(range(300)), 999]


async def test_a_cluster_keeps_rows_too(tmp_path: Path) -> None:
    """On a cluster all rows are in one slot, and found like on one server."""
    async with valkey_cluster(tmp_path / "cluster") as cluster:
        url = cluster.url.replace("redis://", "redis+cluster://")
        async with open_redis(url, PATIENT) as client:
            async with Ledger(stream(client)) as ledger:
                for number in range(BUSY):
                    ledger.record(row(number))
            assert await found(stream(client)) == [row(n) for n in reversed(range(BUSY))]


async def test_a_stream_is_bounded(server: ValkeyServer) -> None:
    """Rows beyond the most are removed, the oldest first, a node of the stream at a time."""
    await server.ask("CONFIG", "SET", "stream-node-max-entries", 10)
    async with open_redis(server.url, PATIENT) as client:
        kept = stream(client, max_rows=100)
        for begin in range(0, 1_000, 50):
            await kept.append([row(number) for number in range(begin, begin + 50)])
        numbers = [entry.at - NOW for entry in await found(kept)]
    assert 100 <= len(numbers) <= 110
    assert numbers == list(range(999, 999 - len(numbers), -1))


async def test_a_stream_forgets_what_is_old(server: ValkeyServer) -> None:
    """What was written longer ago than the retention is removed as others come."""
    await server.ask("CONFIG", "SET", "stream-node-max-entries", 1)
    for number in range(5):
        await server.ask(
            "XADD", "lt-id:ledger", f"{number + 1}-1", "row", row(number).to_json().decode()
        )
    async with open_redis(server.url, PATIENT) as client:
        kept = stream(client, retention_days=1)
        await kept.append([row(9)])
        assert await found(kept) == [row(9)]


async def test_what_others_wrote_into_the_stream_is_passed_over(server: ValkeyServer) -> None:
    """An entry that is no row hides none."""
    async with open_redis(server.url, PATIENT) as client:
        kept = stream(client)
        await kept.append([row(1)])
        await server.ask("XADD", "lt-id:ledger", "*", "row", "{")
        await server.ask("XADD", "lt-id:ledger", "*", "other", "1")
        await kept.append([row(2)])
        assert await found(kept) == [row(2), row(1)]


async def test_a_stream_that_may_not_be_trimmed_is_written(server: ValkeyServer) -> None:
    """A user who may add and not trim keeps each row once, and the log says so once."""
    acl = "on nopass ~lt-id:* +xadd +xrevrange +client|setinfo +select"
    await server.ask("ACL", "SETUSER", "adder", *acl.split())
    url = server.url.replace("redis://", "redis://adder:x@")
    async with open_redis(url, PATIENT) as client:
        kept = stream(client)
        with capture_logs() as logged:
            await kept.append([row(1)])
            await kept.append([row(2)])
        assert await found(kept) == [row(2), row(1)]
    assert [line["event"] for line in logged] == ["ledger cannot be trimmed"]
    assert "NoPermissionError" in logged[0]["cause"]


async def test_many_replicas_share_a_stream(server: ValkeyServer) -> None:
    """Rows of several processes are all there."""
    async with open_redis(server.url, PATIENT) as one, open_redis(server.url, PATIENT) as other:
        async with Ledger(stream(one)) as first, Ledger(stream(other)) as second:
            for number in range(0, BUSY, 2):
                first.record(row(number))
                second.record(row(number + 1))
        rows = await found(stream(one))
    assert sorted(rows, key=lambda entry: entry.at) == [row(number) for number in range(BUSY)]


async def test_the_command_searches_the_stream(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ledger find` reads tokens and refusals where the service's own settings put them."""
    monkeypatch.setenv("TOKENSERVICE_STORE_URL", server.url)
    monkeypatch.setenv("TOKENSERVICE_HASH_KEY", KEY.decode())
    monkeypatch.delenv("TOKENSERVICE_LEDGER", raising=False)
    async with open_recorder(load(LedgerSettings), lambda: NOW) as recorder:

        async def issue() -> Any:
            return issued()

        with recorder.request("r-1") as open_row:
            open_row.caller, open_row.asked, open_row.grant = CALLER, ASKED, GRANT
            await open_row.issuing(issue())
        with suppress(UserBlocked), recorder.request("r-2") as open_row:
            open_row.caller = CALLER
            raise UserBlocked
    assert await server.ask("XLEN", "lt-id:ledger") == 1
    assert await server.ask("XLEN", "lt-id:ledger:refusals") == 1
    for arguments, written, requests in (
        (["--token", "-"], TOKEN, ["r-1"]),
        (["--user", "-"], SUBJECT, ["r-2", "r-1"]),
        (["--decision", "d-1"], "", ["r-1"]),
        (["--token", "-"], "auth_tokens/other", []),
    ):
        result = await asyncio.to_thread(
            CliRunner().invoke,
            ledger,
            ["find", "--json", *arguments],
            input=written,
            standalone_mode=False,
        )
        assert result.exception is None
        found_requests = [json.loads(line)["request_id"] for line in result.stdout.splitlines()]
        assert sorted(found_requests) == sorted(requests)
        assert result.return_value == (0 if requests else 3)
