"""However a request ends, one line says so: `request`, or `not a request` for what is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_http import connect, exchange, request
from structlog.testing import capture_logs

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
_PATIENCE = 20.0


def told(logs: Any) -> list[tuple[str, int, str]]:
    """Return event, status and code of the lines that tell of requests."""
    return [
        (line["event"], line["status"], line["code"])
        for line in logs
        if line["event"] in {"request", "not a request"}
    ]


async def until_told(logs: list[Any], count: int = 1) -> list[tuple[str, int, str]]:
    """Wait until so many requests have been told of."""
    async with asyncio.timeout(_PATIENCE):
        while len(told(logs)) < count:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.005)
    return told(logs)


@pytest.mark.parametrize(
    "data, line",
    [
        (request(AUTH), ("request", 200, "OK")),
        (request(AUTH, method="OPTIONS"), ("request", 204, "OK")),
        (request(AUTH, path="/favicon.ico", method="GET"), ("request", 404, "NOT_FOUND")),
        (request(), ("request", 401, "UNAUTHENTICATED")),
        (request(AUTH, JSON, "Content-Length: 1", body=b"{"), ("request", 400, "INVALID_ARGUMENT")),
        (request(AUTH, JSON, "Content-Length: 100000"), ("request", 413, "PAYLOAD_TOO_LARGE")),
        (request(AUTH, method="GET"), ("request", 405, "METHOD_NOT_ALLOWED")),
        (request(AUTH, method="BREW"), ("not a request", 400, "INVALID_ARGUMENT")),
        (b"nonsense\r\n\r\n", ("not a request", 400, "INVALID_ARGUMENT")),
        (request(AUTH, "Host: y"), ("not a request", 400, "INVALID_ARGUMENT")),
        (request(AUTH, path="/" + "x" * 9_000), ("not a request", 414, "URI_TOO_LONG")),
        (
            request(AUTH, *(f"X-{n}: x" for n in range(99))),
            ("not a request", 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
        ),
        (request(AUTH, JSON, CHUNKED, body=b"zz\r\n"), ("request", 400, "INVALID_ARGUMENT")),
    ],
)
async def test_a_request_is_told_once(gateway: Any, data: bytes, line: Any) -> None:
    """Answers, refusals before and behind the router, heads and bodies that are none."""
    with capture_logs() as logs:
        answer = await exchange(gateway.port, data)
        lines = await until_told(logs)
    assert answer is not None
    assert lines == [line]
    ids = {each["request_id"] for each in logs if told([each])}
    assert ids == {answer.headers["x-request-id"]}


async def test_requests_on_one_connection_are_told_one_by_one(gateway: Any) -> None:
    """Each has its line; a connection on which nothing comes has none."""
    with capture_logs() as logs:
        async with connect(gateway.port), connect(gateway.port) as connection:
            for _ in range(3):
                connection.send(request(AUTH))
                assert await connection.answer() is not None
        await exchange(gateway.port, request())
        lines = await until_told(logs, 4)
    assert lines == [("request", 200, "OK")] * 3 + [("request", 401, "UNAUTHENTICATED")]


async def test_a_request_behind_another_is_told_when_it_is_none(gateway: Any) -> None:
    """What waited for its turn, and turns out to be no request, is told as that."""
    gateway.service.held = asyncio.Event()
    with capture_logs() as logs:
        async with connect(gateway.port) as connection:
            connection.send(request(AUTH))
            await gateway.service.entered.wait()
            connection.send(request(AUTH, JSON, CHUNKED, body=b"zz\r\n"))
            assert await until_told(logs) == [("not a request", 400, "INVALID_ARGUMENT")]
            gateway.service.held.set()
            answers = [await connection.answer() for _ in range(2)]
        lines = await until_told(logs, 2)
    assert [answer and answer.status for answer in answers] == [200, 400]
    assert lines[1:] == [("request", 200, "OK")]


@pytest.mark.parametrize("where", ["head", "body", "answer"])
async def test_a_client_that_leaves_is_told_once_it_has_asked(gateway: Any, where: str) -> None:
    """In the middle of a head there is no request yet; later, its line says 499."""
    elsewhere = request(path="/none")
    gateway.service.held = asyncio.Event()
    sent = {
        "head": request(AUTH)[:-2],
        "body": request(AUTH, JSON, "Content-Length: 9", body=b"{"),
        "answer": request(AUTH),
    }[where]
    with capture_logs() as logs:
        async with connect(gateway.port) as connection:
            connection.send(sent)
            if where == "answer":
                await gateway.service.entered.wait()
            else:  # whoever is answered on a later connection has let this one be read
                await exchange(gateway.port, elsewhere)
        if where != "head":
            await until_told(logs, 1 if where == "answer" else 2)
        await exchange(gateway.port, elsewhere)
    left = [line for line in told(logs) if line[1] != 404]
    assert left == ([] if where == "head" else [("request", 499, "CANCELLED")])


async def test_what_comes_too_slowly_is_told(launch: Any) -> None:
    """A head and a body that do not come."""
    body = request(AUTH, JSON, "Content-Length: 9")
    with capture_logs() as logs:
        async with launch(head_timeout_ms=50, body_timeout_ms=50) as gateway:
            await exchange(gateway.port, b"POST / HT")
            await exchange(gateway.port, body)
    assert told(logs) == [
        ("not a request", 408, "REQUEST_TIMEOUT"),
        ("request", 408, "REQUEST_TIMEOUT"),
    ]


async def test_what_is_shed_or_cut_off_is_told(launch: Any) -> None:
    """More than may be at work, and what a drain does not wait for: 503, each with its line."""
    with capture_logs() as logs:
        async with launch(max_concurrent_requests=1) as gateway, connect(gateway.port) as first:
            gateway.service.held = asyncio.Event()
            first.send(request(AUTH))
            await gateway.service.entered.wait()
            await exchange(gateway.port, request(AUTH))
            gateway.stop.set()
            await gateway.server
    assert [(event, status) for event, status, _ in told(logs)] == [("request", 503)] * 2
    assert {line["log_level"] for line in logs if line["event"] == "request"} == {"warning"}


@pytest.mark.parametrize(
    "failure, status", [(ZeroDivisionError(), 500), (errors.Unavailable(), 503)]
)
async def test_what_fails_behind_it_is_told(gateway: Any, failure: Exception, status: int) -> None:
    """Ours is a warning, whoever of us it was."""
    gateway.service.failure = failure
    with capture_logs() as logs:
        await exchange(gateway.port, request(AUTH))
        await until_told(logs)
    (line,) = (line for line in logs if line["event"] == "request")
    assert (line["status"], line["log_level"]) == (status, "warning")


async def test_a_service_that_does_not_answer_is_told(launch: Any) -> None:
    """The time that a call may take is over: 504."""
    with capture_logs() as logs:
        async with launch(rpc_timeout_ms=100) as gateway:
            gateway.service.held = asyncio.Event()
            answer = await exchange(gateway.port, request(AUTH))
            lines = await until_told(logs)
    assert answer is not None
    assert [(event, status) for event, status, _ in lines] == [("request", answer.status)]
    assert answer.status == 504


async def test_refused_connections_are_told_once_not_each(launch: Any) -> None:
    """A flood of connections is no flood of lines."""
    with capture_logs() as logs:
        async with launch(max_connections_per_address=1) as gateway, connect(gateway.port):
            for _ in range(3):
                await exchange(gateway.port, request(AUTH))
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "connections refused"
    ]
    assert told(logs) == []
