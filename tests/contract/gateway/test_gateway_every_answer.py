"""What every answer has, from whichever layer it comes: none is for a cache."""

import asyncio
from typing import Any

import grpc
import pytest
from raw_http import MINT, RawAnswer, connect, exchange, request

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"


def check(answer: RawAnswer | None, status: int) -> None:
    """Check an answer's status, and the headers that all have."""
    assert answer is not None
    assert answer.status == status, answer
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept, Authorization, Origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers
    if answer.body is not None:
        assert answer.headers["content-type"] == "application/json"
        assert answer.body["success"] == (status == 200)
        if status != 200:
            assert answer.body["requestId"] == answer.headers["x-request-id"]
    if status in {503, 504, 429}:
        assert answer.headers["retry-after"] == str(answer.body["retryAfter"])


@pytest.mark.parametrize(
    "data, status",
    [
        (request(AUTH), 200),
        (request(AUTH, method="OPTIONS"), 204),
        (request(AUTH, JSON, "Content-Length: 1", body=b"{"), 400),
        (request(AUTH, path=MINT + "?token=x"), 400),
        (b"nonsense\r\n\r\n", 400),
        (request(AUTH, "Host: y"), 400),
        (request(), 401),
        (request(AUTH, method="GET", path=MINT + "/stats"), 403),
        (request(AUTH, path="/none"), 404),
        (request(AUTH, method="GET"), 405),
        (request(AUTH, JSON, "Content-Length: 100000"), 413),
        (request(AUTH, path="/" + "x" * 9_000), 414),
        (request(AUTH, "Content-Length: 2", body=b"{}"), 415),
        (request(AUTH, *(f"X-{n}: x" for n in range(99))), 431),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_answers_of_the_gateway(gateway: Any, data: bytes, status: int) -> None:
    """Whatever the gateway answers by itself says that it is for nobody else."""
    check(await exchange(gateway.port, data), status)


async def test_answers_to_head(gateway: Any) -> None:
    """The answer to HEAD has the headers of the answer to GET."""
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH, method="HEAD", path=MINT + "/usage"))
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200")
        assert "cache-control: no-store\r\n" in head


def throttled() -> errors.ServiceError:
    """Return a refusal that says when to come back."""
    violation = errors.QuotaViolation("tokens_per_hour", "10 tokens per hour")
    return errors.QuotaExceeded("Rate limit exceeded", violation, retry_after=5)


def failure(kind: type[errors.ServiceError], reason: str) -> errors.ServiceError:
    """Return a failure with a reason of the contract's."""
    error = kind()
    error.reason = reason
    return error


@pytest.mark.parametrize(
    "error, status",
    [
        (failure(errors.Aborted, "IDEMPOTENCY_KEY_IN_USE"), 409),
        (failure(errors.FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"), 422),
        (throttled(), 429),
        (ZeroDivisionError("x"), 500),
        (failure(errors.Internal, "UPSTREAM_MISCONFIGURED"), 502),
        (errors.Unavailable(), 503),
    ],
)
async def test_answers_of_the_service(gateway: Any, error: Exception, status: int) -> None:
    """Whatever the service answers says so too."""
    gateway.service.failure = error
    check(await exchange(gateway.port, request(AUTH)), status)


@pytest.mark.parametrize(
    "code, status",
    [(grpc.StatusCode.CANCELLED, 499), (grpc.StatusCode.DEADLINE_EXCEEDED, 504)],
)
async def test_answers_to_failed_calls(gateway: Any, code: grpc.StatusCode, status: int) -> None:
    """Statuses that nobody wrote for callers are no exception."""
    gateway.service.status = (code, "x")
    check(await exchange(gateway.port, request(AUTH)), status)


async def test_answers_to_what_came_too_slowly(launch: Any) -> None:
    """A head and a body that do not come are answered like everything else."""
    async with launch(head_timeout_ms=20, body_timeout_ms=20) as gateway:
        check(await exchange(gateway.port, b"POST / HT"), 408)
        check(await exchange(gateway.port, request(AUTH, JSON, "Content-Length: 9")), 408)


async def test_answers_to_whom_the_drain_was_too_short(launch: Any) -> None:
    """A request that is cut off when the gateway stops is told to come back."""
    async with launch() as gateway, connect(gateway.port) as connection:
        gateway.service.held = asyncio.Event()
        connection.send(request(AUTH))
        await gateway.service.entered.wait()
        gateway.stop.set()
        check(await connection.answer(), 503)
        await gateway.server


async def test_answers_to_too_many(launch: Any) -> None:
    """So are requests and connections for which there is no room."""
    async with launch(max_concurrent_requests=1, max_connections_per_address=2) as gateway:
        gateway.service.held = asyncio.Event()
        async with connect(gateway.port) as first:
            first.send(request(AUTH))
            await gateway.service.entered.wait()
            async with connect(gateway.port) as second:
                second.send(request(AUTH))
                check(await second.answer(), 503)
                check(await exchange(gateway.port, b""), 503)
