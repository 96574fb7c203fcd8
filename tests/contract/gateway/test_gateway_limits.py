"""What a peer can make the gateway hold, and for how long: each limit, from outside."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from raw_http import MINT, RawAnswer, connect, exchange, request

from gateway import http_protocol

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
CODES = {
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    414: "URI_TOO_LONG",
    431: "REQUEST_HEADER_FIELDS_TOO_LARGE",
    503: "UPSTREAM_UNAVAILABLE",
}


def check(answer: RawAnswer | None, status: int) -> RawAnswer:
    """Check that an answer is the one body of refusals, with this status."""
    assert answer is not None
    assert (answer.status, answer.body["code"]) == (status, CODES[status]), answer
    assert answer.body["success"] is False
    assert answer.body["details"][0]["reason"] == CODES[status]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("retry-after") == (
        str(answer.body["retryAfter"]) if status == 503 else None
    )
    return answer


# Heads


@pytest.mark.parametrize(
    "begun", [b"P", b"\r\n", b"POST /", b"POST / HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n\r\n"]
)
async def test_a_slow_head_is_408(launch: Any, begun: bytes) -> None:
    """A head that has begun and does not end is given up, and so is the connection."""
    async with launch(head_timeout_ms=20) as gateway, connect(gateway.port) as connection:
        connection.send(begun)
        check(await connection.answer(), 408)
        assert await connection.closed()


async def test_a_silent_connection_is_closed(launch: Any) -> None:
    """Who connects and says nothing is told nothing."""
    async with launch(head_timeout_ms=20) as gateway, connect(gateway.port) as connection:
        assert await connection.closed()


async def test_a_drip_does_not_put_it_off(launch: Any) -> None:
    """Each byte does not buy more time: the whole head has one deadline."""
    async with launch(head_timeout_ms=20) as gateway, connect(gateway.port) as connection:

        async def drip() -> None:
            while True:
                connection.send(b"X-A: b\r\n")
                await asyncio.sleep(0.001)

        connection.send(b"GET / HTTP/1.1\r\n")
        dripping = asyncio.create_task(drip())
        try:
            answer = await connection.answer()
        finally:
            dripping.cancel()
        assert answer is not None
        assert answer.status in {408, 431}  # whichever comes first


async def test_a_later_head_has_the_same_deadline(launch: Any) -> None:
    """A connection that was good once is not good for ever."""
    async with launch(head_timeout_ms=100) as gateway, connect(gateway.port) as connection:
        for tail in (b"", b"GET /"):  # alone, and together with the request before it
            connection.send(request(AUTH) + tail)
            answer = await connection.answer()
            assert answer is not None
            assert answer.status == 200
        check(await connection.answer(), 408)
        assert await connection.closed()


async def test_a_slow_head_behind_a_request_waits_its_turn(launch: Any) -> None:
    """The refusal of what follows is said after the answer to what came before."""
    async with launch(head_timeout_ms=20) as gateway, connect(gateway.port) as connection:
        gateway.service.held = asyncio.Event()
        connection.send(request(AUTH) + b"GET /")
        await gateway.service.entered.wait()
        gateway.service.held.set()
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 200
        check(await connection.answer(), 408)


async def test_an_idle_connection_is_closed(launch: Any) -> None:
    """After an answer, and after the rest of a body that nobody wanted, idleness ends."""
    async with launch(keep_alive_seconds=1) as gateway, connect(gateway.port) as connection:
        connection.send(request("Content-Length: 3", path="/none", body=b"1"))
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 404
        connection.send(b"23")
        assert await connection.closed()


@pytest.mark.parametrize("count", [63, 64])
async def test_the_number_of_headers(gateway: Any, count: int) -> None:
    """64 headers pass, Host included; one more is 431."""
    lines = [f"X-{n}: a" for n in range(count - 1)]
    answer = await exchange(gateway.port, request(AUTH, *lines))
    if count < 64:
        assert answer is not None
        assert answer.status == 200
    else:
        check(answer, 431)
        assert gateway.service.requests == []


HUGE_HEADS: dict[str, tuple[list[bytes], int]] = {
    "one header": ([b"X: " + b"x" * 20_000 + b"\r\n\r\n"], 431),
    "one name": ([b"x" * 20_000 + b": x\r\n\r\n"], 431),
    "many headers": ([b"X: y\r\n"] * 100, 431),
    "large headers": ([b"X: " + b"x" * 1_000 + b"\r\n"] * 20, 431),
    "no end of a header": ([b"X: "] + [b"x" * 1_000] * 300, 431),
    "no end of a name": ([b"x" * 1_000] * 300, 431),
    "at once": ([b"X: y\r\n" * 40_000], 431),
}


@pytest.mark.parametrize("name", HUGE_HEADS)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_large_head_is_431(gateway: Any, name: str, *, whole: bool) -> None:
    """A head is refused as soon as it is too large, whether it ends or not."""
    parts, status = HUGE_HEADS[name]
    async with connect(gateway.port) as connection:
        connection.send(f"POST {MINT} HTTP/1.1\r\nHost: x\r\n".encode())
        for part in [b"".join(parts)] if whole else parts:
            connection.send(part)
            with contextlib.suppress(ConnectionError):
                await connection.writer.drain()
        check(await connection.answer(), status)
        assert await connection.closed()
    assert gateway.service.requests == []


async def test_endless_line_ends_are_a_head(gateway: Any) -> None:
    """The empty lines that may stand before a request are counted with it."""
    async with connect(gateway.port) as connection:
        connection.send(b"\r\n" * 10_000)
        check(await connection.answer(), 431)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_long_url_is_414(gateway: Any, *, ended: bool) -> None:
    """A URL is read up to 8 KiB."""
    path = "/" + "x" * http_protocol.MAX_URL_BYTES
    data = request(path=path) if ended else f"GET {path}".encode()
    check(await exchange(gateway.port, data), 414)
    answer = await exchange(gateway.port, request(path=path[:-1]))
    assert answer is not None
    assert answer.status == 404


async def test_trailers_are_bounded(gateway: Any) -> None:
    """What may stand behind a body has the limits of a head."""
    for trailers in (b"X: y\r\n" * 30_000, b"X: " + b"y" * 600_000):
        data = request(AUTH, CHUNKED, body=b"0\r\n" + trailers)
        check(await exchange(gateway.port, data), 431)


async def test_chunk_extensions_are_bounded(gateway: Any) -> None:
    """A body that is all framing and no content is not read for ever."""
    data = request(AUTH, JSON, CHUNKED, body=b"2;x=" + b"y" * 600_000)
    check(await exchange(gateway.port, data), 431)


# Bodies


async def test_an_endless_body_is_413_at_once(gateway: Any) -> None:
    """The first byte too many ends it: what is behind is not read for long."""
    async with connect(gateway.port, limit=2**16) as connection:
        connection.send(request(AUTH, JSON, CHUNKED))
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not connection.reader.at_eof() and sent < 2**30:
                connection.send(chunk)
                await connection.writer.drain()
                sent += len(chunk)
        assert sent < 2**26  # what the kernel takes, and not the gigabyte
    assert gateway.service.requests == []


@pytest.mark.parametrize(
    "data",
    [
        request(AUTH, JSON, "Content-Length: 1000000000"),
        request(AUTH, JSON, CHUNKED, body=b"10001\r\n" + b" " * 65_537 + b"\r\n"),
    ],
    ids=["declared", "chunked"],
)
async def test_a_large_body_is_413(gateway: Any, data: bytes) -> None:
    """A body is refused when it says that it is too large, and else when it is."""
    check(await exchange(gateway.port, data), 413)


async def test_the_rest_of_an_unwanted_body_is_not_awaited(launch: Any) -> None:
    """After the answer, the rest of a body has the time of a head, and then no more."""
    async with launch(head_timeout_ms=20) as gateway, connect(gateway.port) as connection:
        connection.send(request("Content-Length: 9", path="/none", body=b"1"))
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 404
        assert await connection.closed()


@pytest.mark.parametrize("data", [b"x" * 200_000, b"1\r\nx\r\n" * 40_000], ids=["plain", "chunks"])
async def test_the_rest_of_an_unwanted_body_is_bounded(gateway: Any, data: bytes) -> None:
    """After the answer, a body is read on for a while and then not at all."""
    framing = CHUNKED if b"\r\n" in data else "Content-Length: 1000000"
    async with connect(gateway.port) as connection:
        connection.send(request(framing, path="/none"))
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 404
        connection.send(data)
        assert await connection.closed()


# Answers


async def test_a_slow_reader_is_cut_off(launch: Any) -> None:
    """Who asks and does not read the answers is aborted, and holds nothing longer."""
    small = {"family": socket.AF_INET, "proto": 0}
    with socket.socket(small["family"]) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)  # noqa: FBT003 - the name of the method says it
        loop = asyncio.get_running_loop()
        async with launch(write_timeout_ms=20, sndbuf=4096) as gateway:
            await loop.sock_connect(client, ("127.0.0.1", gateway.port))
            with contextlib.suppress(ConnectionError):
                while True:
                    await loop.sock_sendall(client, request(path="/none"))
            assert (await gateway.browser.ask("POST", MINT)).status == 200


# Connections


async def test_one_address_has_so_many_connections(launch: Any) -> None:
    """Beyond it there is a 503 for the connection, and room again once one has gone."""
    async with (
        launch(max_connections_per_address=2) as gateway,
        connect(gateway.port) as first,
        connect(gateway.port),
    ):
        async with connect(gateway.port) as third:
            check(await third.answer(), 503)
            assert await third.closed()
        first.writer.close()
        await first.closed()
        assert await served(gateway.port)


async def test_all_together_have_so_many_connections(launch: Any) -> None:
    """A trusted proxy stands for many, and is bound by the limit of all alone."""
    limits = {"max_connections": 3, "max_connections_per_address": 1}
    async with (
        launch(trusted_proxies=("127.0.0.1",), **limits) as gateway,
        connect(gateway.port),
        connect(gateway.port) as second,
        connect(gateway.port),
    ):
        check(await exchange(gateway.port, b""), 503)
        check(await exchange(gateway.port, request(AUTH)), 503)
        second.send(request(AUTH))
        answer = await second.answer()
        assert answer is not None
        assert answer.status == 200


async def served(port: int) -> bool:
    """Ask until there is room again."""
    while True:
        answer = await exchange(port, request(AUTH))
        assert answer is not None
        if answer.status != 503:
            return answer.status == 200


async def test_pipelines_are_bounded(gateway: Any) -> None:
    """So many requests wait on one connection; the next is 503, and the last."""
    gateway.service.held = asyncio.Event()
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH) * 10_000)
        await gateway.service.entered.wait()
        gateway.service.held.set()
        answers = []
        while (answer := await connection.answer()) is not None:
            answers.append(answer)
    assert [answer.status for answer in answers[:-1]] == [200] * (1 + http_protocol.MAX_PIPELINED)
    check(answers[-1], 503)


async def test_a_client_that_leaves_takes_all_its_requests_along(gateway: Any) -> None:
    """Of requests that wait behind one another, none runs for nobody."""
    gateway.service.held = asyncio.Event()
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH) * 3)
        await gateway.service.entered.wait()
    await gateway.service.cancelled.wait()
    gateway.service.held.set()
    assert (await gateway.browser.ask("POST", MINT)).status == 200
    assert len(gateway.service.requests) == 2


# Requests


async def test_what_cannot_be_carried_is_shed(launch: Any) -> None:
    """Beyond the limit a request is 503 at once, never queued; health is answered all the while."""
    async with launch(max_concurrent_requests=2) as gateway:
        gateway.service.held = asyncio.Event()
        at_work = [asyncio.create_task(gateway.browser.ask("POST", MINT)) for _ in range(2)]
        while len(gateway.service.requests) < 2:
            gateway.service.entered.clear()
            await gateway.service.entered.wait()
        check(await exchange(gateway.port, request(AUTH)), 503)
        answer = await exchange(gateway.port, request(AUTH, method="GET", path=MINT + "/usage"))
        check(answer, 503)
        health = asyncio.create_task(gateway.browser.ask("GET", MINT + "/health"))
        while len(gateway.service.requests) < 3:
            gateway.service.entered.clear()
            await gateway.service.entered.wait()
        gateway.service.held.set()
        assert [answer.status for answer in await asyncio.gather(*at_work, health)] == [200] * 3
        assert (await gateway.browser.ask("POST", MINT)).status == 200


async def test_slow_bodies_take_nobodys_place(launch: Any) -> None:
    """A request that has not arrived is not at work: it cannot crowd out one that has."""
    async with launch(max_concurrent_requests=1) as gateway, connect(gateway.port) as slow:
        slow.send(request(AUTH, JSON, "Content-Length: 9", body=b"{"))
        for _ in range(2):
            assert (await gateway.browser.ask("POST", MINT)).status == 200


async def test_who_leaves_gives_its_place_back(launch: Any) -> None:
    """A request whose client has gone is no longer at work."""
    async with launch(max_concurrent_requests=1) as gateway:
        gateway.service.held = asyncio.Event()
        async with connect(gateway.port) as connection:
            connection.send(request(AUTH))
            await gateway.service.entered.wait()
        await gateway.service.cancelled.wait()
        gateway.service.held.set()
        assert await served(gateway.port)
