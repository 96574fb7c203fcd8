"""Streams over HTTP: lines or events, as they come, until the end, a failure or the client's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from feed_api import FakeFeed, ask, exchange
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Serve = Any

WATCH = "/v1/items/a:watch"
EVENTS = {"Accept": "text/event-stream"}


@pytest.mark.parametrize(
    "accept, media_type",
    [
        (None, "application/x-ndjson"),
        ("", "application/x-ndjson"),
        ("*/*", "application/x-ndjson"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json", "application/json"),
        ("application/json, */*;q=0.1", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, */*", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("text/event-stream;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson;q=0, */*;q=0.5", "application/json"),
    ],
)
async def test_accept_chooses_the_form(app: ASGIApp, accept: str | None, media_type: str) -> None:
    """The form that the client would rather have is what it gets; lines are the default."""
    answer = await ask(app, "GET", WATCH, headers={} if accept is None else {"Accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["vary"] == "Accept"


async def test_a_form_that_there_is_not(app: ASGIApp, feed: FakeFeed) -> None:
    """An Accept that allows no form is 406, and no RPC is made."""
    answer = await ask(app, "GET", WATCH, headers={"Accept": "text/html"})
    assert answer.status == 406
    assert feed.requests == []


async def test_lines(app: ASGIApp) -> None:
    """Each message is a line of JSON, under `result`."""
    answer = await ask(app, "GET", WATCH + "?count=2")
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"result": {"name": "a", "number": 1}},
        {"result": {"name": "a", "number": 2}},
    ]
    assert answer.body.endswith(b"\n")


async def test_events(app: ASGIApp) -> None:
    """Each message is an event, and one called end tells browsers not to ask again."""
    answer = await ask(app, "GET", WATCH + "?count=1", headers=EVENTS)
    assert answer.body == b'data: {"name":"a","number":1}\n\nevent: end\ndata: {}\n\n'


async def test_a_stream_can_be_asked_for_with_a_body(app: ASGIApp) -> None:
    """Any rule can lead to a stream, and response_body holds for each message."""
    body = json.dumps({"name": "é", "count": 1}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await ask(app, "POST", "/v1/items:watch", headers=headers, body=body)
    assert json.loads(answer.body)["result"]["name"] == "é"
    answer = await ask(app, "GET", "/v1/numbers/a?count=2")
    assert answer.body == b'{"result":2}\n{"result":3}\n'


async def test_nothing_waits_for_the_rest(app: ASGIApp, feed: FakeFeed) -> None:
    """A message is with the client before the service has the next."""
    feed.held = asyncio.Event()
    async with exchange(app, "GET", WATCH + "?count=1") as running:
        await running.start()
        assert await running.chunk() == b'{"result":{"name":"a","number":1}}\n'
        feed.held.set()
        assert await running.chunk() is None


async def test_a_failure_before_the_first_message_has_its_status(
    app: ASGIApp, feed: FakeFeed
) -> None:
    """What fails at once is answered as a unary RPC that fails."""
    feed.failure = (grpc.StatusCode.PERMISSION_DENIED, "no")
    answer = await ask(app, "GET", WATCH, headers=EVENTS)
    assert (answer.status, answer.headers["content-type"]) == (403, "application/json")
    assert json.loads(answer.body) == {"code": 7, "message": "no", "details": []}


async def test_a_failure_in_the_middle_is_the_last_line(app: ASGIApp, feed: FakeFeed) -> None:
    """What fails later says so in the last line or event, with its details."""
    status = status_pb2.Status(code=8, message="enough")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="ENOUGH"))
    feed.failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
    feed.status_details = status.SerializeToString()
    error = {
        "code": 8,
        "message": "enough",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ENOUGH"}],
    }
    lines = (await ask(app, "GET", WATCH + "?count=1")).body.splitlines()
    assert [*json.loads(lines[0])] == ["result"]
    assert json.loads(lines[1]) == {"error": error}
    events = (await ask(app, "GET", WATCH + "?count=1", headers=EVENTS)).body.split(b"\n\n")
    name, data = events[1].split(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: ")) == error


async def test_an_idle_stream_says_that_it_lives(serve: Serve, feed: FakeFeed) -> None:
    """While there is no message, events have comments; the headers go out without waiting."""
    feed.held = asyncio.Event()
    async with serve(pause=0.001) as app:
        async with exchange(app, "GET", WATCH, headers=EVENTS) as running:
            await running.start()
            assert running.status == 200
            assert await running.chunk() == await running.chunk() == b": \n\n"
        async with exchange(app, "GET", WATCH) as running:
            await running.start()
            assert running.headers["content-type"] == "application/x-ndjson"
            assert await running.chunk() == b""


async def test_a_pause_loses_nothing(serve: Serve, feed: FakeFeed) -> None:
    """What comes after a pause is what there was to come."""
    feed.held = asyncio.Event()
    async with (
        serve(pause=0.001) as app,
        exchange(app, "GET", WATCH + "?count=1", headers=EVENTS) as running,
    ):
        await running.start()
        pause = b": \n\n"
        while (chunk := await running.chunk()) == pause:
            continue  # a busy machine has pauses ahead of the first item too
        assert chunk == b'data: {"name":"a","number":1}\n\n'
        assert await running.chunk() == pause
        feed.held.set()
        assert (await running.rest()).replace(pause, b"") == b"event: end\ndata: {}\n\n"


@pytest.mark.parametrize("count", [0, 1])
async def test_whoever_leaves_cancels_the_rpc(app: ASGIApp, feed: FakeFeed, count: int) -> None:
    """The RPC of a client that is gone goes too, before its first message or after."""
    feed.held = asyncio.Event()
    async with exchange(app, "GET", f"{WATCH}?count={count}") as running:
        if count:
            await running.start()
            await running.chunk()
        await feed.entered.wait()
    await feed.cancelled.wait()


async def test_a_slow_client_slows_the_service(app: ASGIApp, feed: FakeFeed) -> None:
    """No more is read than the client takes, but for what is on its way."""
    feed.size = 64 * 1024
    async with exchange(app, "GET", f"{WATCH}?count=100000") as running:
        await running.start()
        for _ in range(3):
            await running.chunk()
    await feed.cancelled.wait()
    assert feed.produced < 1_000


async def test_the_deadline_ends_a_stream(serve: Serve, feed: FakeFeed) -> None:
    """A stream has as long as its request allows, and says that it was not the end."""
    feed.held = asyncio.Event()
    async with serve(timeout=lambda _: 0.2) as app:
        answer = await ask(app, "GET", WATCH + "?count=1")
        assert json.loads(answer.body.splitlines()[-1])["error"]["code"] == 4
    feed.reset()
    async with serve(timeout=lambda _: 0) as app:
        assert (await ask(app, "GET", WATCH)).status == 504
    assert feed.requests == []


async def test_the_shorter_deadline_holds(serve: Serve, feed: FakeFeed) -> None:
    """A request can shorten what an RPC has, and not lengthen it; a stream has no end."""
    async with serve(timeout=lambda _: 1000, rpc_timeout=30) as app:
        await ask(app, "GET", "/v1/items/a")
        assert feed.time_remaining < 60
    async with serve(timeout=lambda _: 20, rpc_timeout=30) as app:
        await ask(app, "GET", "/v1/items/a")
        assert feed.time_remaining < 25
    async with serve() as app:
        await ask(app, "GET", WATCH)
        assert feed.time_remaining > 1e6


async def test_the_servers_metadata_can_be_headers(serve: Serve, feed: FakeFeed) -> None:
    """Streams and raw bodies have the headers that the application makes of initial metadata.

    The stream is held open: of one that ends at once, grpc.aio may see the end
    before the metadata, and then forgets the metadata.
    """
    async with serve(answer_headers=lambda _, initial: dict(initial)) as app:
        assert (await ask(app, "GET", "/v1/files/a")).headers["x-served-by"] == "feed"
        feed.held = asyncio.Event()
        async with exchange(app, "GET", WATCH + "?count=1") as running:
            await running.start()
            assert running.headers["x-served-by"] == "feed"


async def test_head_has_no_body(app: ASGIApp, feed: FakeFeed) -> None:
    """HEAD on a stream is its headers, or the status that it fails with."""
    answer = await ask(app, "HEAD", WATCH + "?count=5", headers=EVENTS)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream"
    feed.failure = (grpc.StatusCode.NOT_FOUND, "")
    answer = await ask(app, "HEAD", WATCH)
    assert (answer.status, answer.body) == (404, b"")


async def test_a_message_without_json_ends_the_stream(app: ASGIApp, feed: FakeFeed) -> None:
    """An Any of a type that nobody knows cannot be written: INTERNAL, and no broken line."""
    feed.extra = ("type.googleapis.com/nobody.Knows", b"")
    answer = await ask(app, "GET", WATCH + "?count=1")
    assert (answer.status, json.loads(answer.body)["code"]) == (500, 13)
