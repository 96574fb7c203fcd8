"""What the gateway counts below its requests: connections, and what becomes of no request."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from metering import Measured, measured
from raw_http import MINT, connect, exchange, request

from serving import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def counted() -> Iterator[Measured]:
    """Return what is measured from now on."""
    with measured() as begun:
        yield begun


async def until(counted: Measured, connections: float) -> None:
    """Wait until there are so many more connections than there were."""
    async with asyncio.timeout(20):
        while counted.more(metrics.HTTP_CONNECTIONS) != connections:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_connections_are_counted_while_they_are_open(launch: Any, counted: Measured) -> None:
    """From their beginning to their end, idle or not."""
    async with launch() as gateway:
        async with connect(gateway.port), connect(gateway.port):
            await until(counted, 2)
        await until(counted, 0)


async def test_connections_without_room_are_counted(launch: Any, counted: Measured) -> None:
    """By what was full; they are none that is open."""
    async with launch(max_connections=2, max_connections_per_address=1) as gateway:
        async with connect(gateway.port):
            await until(counted, 1)
            for _ in range(3):
                answer = await exchange(gateway.port, request())
                assert answer is not None
                assert answer.status == 503
        assert counted.more(metrics.HTTP_CONNECTIONS_REFUSED, reason="address") == 3
        assert counted.more(metrics.HTTP_CONNECTIONS_REFUSED, reason="full") == 0
        await until(counted, 0)
    async with launch(max_connections=1, max_connections_per_address=1) as gateway:
        async with connect(gateway.port):
            await until(counted, 1)
            await exchange(gateway.port, request())
        await until(counted, 0)
    assert counted.more(metrics.HTTP_CONNECTIONS_REFUSED, reason="full") == 1
    assert counted.more(metrics.HTTP_UNREAD) == 0


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\n", 408),
        (request("A: " + "x" * 20_000), 431),
        (request(path="/" + "x" * 9_000), 414),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_becomes_no_request_is_counted(
    launch: Any, counted: Measured, raw: bytes, status: int
) -> None:
    """By the status of its answer, and not among the requests."""
    async with launch(head_timeout_ms=50) as gateway, connect(gateway.port) as connection:
        connection.send(raw)
        answer = await connection.answer()
    assert answer is not None
    assert answer.status == status
    assert counted.grown(metrics.HTTP_UNREAD) == {
        frozenset({("http.response.status_code", str(status))}): 1
    }
    assert counted.more(metrics.HTTP_DURATION) == 0


async def test_a_request_that_is_one_is_counted_as_such(launch: Any, counted: Measured) -> None:
    """It is no matter of connections."""
    async with launch() as gateway:
        with contextlib.suppress(ConnectionError):
            await exchange(gateway.port, request(method="GET", path=MINT + "/health"))
    assert counted.more(metrics.HTTP_UNREAD) == 0
    assert counted.more(metrics.HTTP_DURATION) == 1
