"""The library as an application: raw bodies, options, and errors in its default envelope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from feed_api import FakeFeed, ask, exchange
from google.protobuf import any_pb2, descriptor_pb2
from google.rpc import status_pb2
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway import transcoding
from gateway.transcoding.answering import StreamBrokenError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

Serve = Any


async def test_an_upload_is_bytes_of_any_type(app: ASGIApp, feed: FakeFeed) -> None:
    """A body that becomes an HttpBody is taken as it is, with its type."""
    headers = {"Content-Type": "image/png"}
    answer = await ask(app, "PUT", "/v1/files/a", headers=headers, body=b"\x89{")
    assert answer.status == 200
    (request,) = feed.requests
    assert (request.name, request.content.content_type, request.content.data) == (
        "a",
        "image/png",
        b"\x89{",
    )


async def test_a_whole_message_can_be_raw(app: ASGIApp) -> None:
    """With body "*", an RPC of HttpBody echoes what it is sent."""
    answer = await ask(app, "POST", "/v1/echo", headers={"Content-Type": "a/b"}, body=b"\xff")
    assert (answer.headers["content-type"], answer.body) == ("a/b", b"\xff")
    answer = await ask(app, "POST", "/v1/echo")
    assert (answer.headers["content-type"], answer.body) == ("application/octet-stream", b"")


async def test_it_can_be_mounted_in_another_application(app: ASGIApp, feed: FakeFeed) -> None:
    """Rules are of the path below the prefix; what stands in it twice is not taken away twice."""
    outer = Starlette(routes=[Mount("/api v1", app)])
    for path, name in (
        ("/api%20v1/v1/files/a%2Fb", "a/b"),
        ("/api%20v1/v1/files/api%20v1", "api v1"),
    ):
        answer = await ask(outer, "GET", path)
        assert answer.status == 200
        assert feed.requests.pop().name == name
    assert (await ask(outer, "GET", "/api%20v1/v2/files/a")).status == 404
    assert (await ask(outer, "GET", "/v1/files/a")).status == 404


async def test_a_server_need_not_tell_the_path_as_it_was_sent(app: ASGIApp, feed: FakeFeed) -> None:
    """ASGI leaves it to the server; what a decoded path means is all there is then."""

    async def without(scope: Any, receive: Any, send: Any) -> None:
        del scope["raw_path"]
        scope["path"] = "/v1/files/50% é:x"
        await app(scope, receive, send)

    assert (await ask(without, "GET", "/")).status == 200
    assert feed.requests.pop().name == "50% é:x"


@pytest.mark.parametrize("path", ["/v1/files/a", "/v1/parts/a"])
async def test_a_download_is_bytes(app: ASGIApp, path: str) -> None:
    """A response that is an HttpBody, or whose response_body is one, is its bytes."""
    answer = await ask(app, "GET", path)
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        "image/png",
        b"<a>",
    )


async def test_a_stream_of_bytes_is_one_body(app: ASGIApp) -> None:
    """The parts of a streamed HttpBody follow each other, with the first one's type."""
    answer = await ask(app, "GET", "/v1/exports/a?count=2", headers={"Accept": "image/*"})
    assert (answer.headers["content-type"], answer.body) == ("image/png", b"<a><a>")


async def test_a_broken_stream_of_bytes_is_cut_off(app: ASGIApp, feed: FakeFeed) -> None:
    """Bytes have no word for a failure, so the server is told not to end the answer."""
    feed.failure = (grpc.StatusCode.DATA_LOSS, "")
    with pytest.RaisesGroup(StreamBrokenError):
        async with exchange(app, "GET", "/v1/exports/a?count=1") as running:
            await running.start()
            assert await running.chunk() == b"<a>"
            await running.chunk()  # which never comes
    answer = await ask(app, "GET", "/v1/exports/a")
    assert answer.status == 500


@pytest.mark.parametrize("media_type", ["", "a/b\r\nSet-Cookie: x", "é/é"])
async def test_a_bad_type_is_no_header(app: ASGIApp, feed: FakeFeed, media_type: str) -> None:
    """What the service calls its bytes cannot break the headers."""
    feed.media_type = media_type
    answer = await ask(app, "GET", "/v1/files/a")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in answer.headers


async def test_methods_without_rules(serve: Serve) -> None:
    """They are not served, or as POST /package.Service/Method if one says so."""
    headers = {"Content-Type": "application/json"}
    async with serve() as app:
        assert (await ask(app, "POST", "/feed.v1.Feed/Bare")).status == 404
    async with serve(auto_mapping=True) as app:
        answer = await ask(app, "POST", "/feed.v1.Feed/Bare", headers=headers, body=b'{"name":"b"}')
        assert json.loads(answer.body)["name"] == "b"
        assert (await ask(app, "POST", "/feed.v1.Feed/Talk")).status == 404
        assert (await ask(app, "POST", "/feed.v1.Feed/Get")).status == 404  # it has a rule
        assert (await ask(app, "GET", "/v1/items/a")).status == 200


async def test_the_credential_goes_on_and_nothing_else(app: ASGIApp, feed: FakeFeed) -> None:
    """Without a choice, of all headers only Authorization is metadata."""
    headers = {"Authorization": "Basic x", "X-Other": "y", "Cookie": "z"}
    await ask(app, "GET", "/v1/items/a", headers=headers)
    assert feed.metadata["authorization"] == "Basic x"
    assert not {"x-other", "cookie"} & set(feed.metadata)
    answer = await ask(app, "GET", "/v1/items/a", headers={"Authorization": "\xe9"})
    assert answer.status == 400


@pytest.mark.parametrize(
    "request_line, body, status, code",
    [
        ("GET /v1", b"", 404, 5),
        ("DELETE /v1/items/a", b"", 405, 12),
        ("GET /v1/items/a?count=x", b"", 400, 3),
        ("GET /v1/items/%ff", b"", 400, 3),
        ("GET /v1/items/a", b"{}", 415, 3),
        ("POST /v1/items:watch", b"x" * 101, 413, 8),
    ],
)
async def test_refusals(
    serve: Serve, request_line: str, body: bytes, status: int, code: int
) -> None:
    """What is no request of the API is refused with a google.rpc.Status, and its HTTP status."""
    async with serve(max_body_bytes=100) as app:
        answer = await ask(app, *request_line.split(), body=body)
    assert answer.status == status
    told = json.loads(answer.body)
    assert (told["code"], told["details"]) == (code, [])
    assert told["message"]
    assert ("allow" in answer.headers) == (status == 405)


async def test_options_tells_the_methods(app: ASGIApp) -> None:
    """OPTIONS is answered for every path that there is."""
    answer = await ask(app, "OPTIONS", "/v1/files/a")
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")


async def test_unknown_details_are_kept(app: ASGIApp, feed: FakeFeed) -> None:
    """A detail of a type that is not known here is base64, and not dropped."""
    unknown = any_pb2.Any(type_url="type.googleapis.com/nobody.Knows", value=b"\xff")
    status = status_pb2.Status(code=9, message="m", details=[unknown])
    feed.failure, feed.status_details = (
        (grpc.StatusCode.FAILED_PRECONDITION, "m"),
        status.SerializeToString(),
    )
    answer = await ask(app, "GET", "/v1/items/a")
    assert (answer.status, json.loads(answer.body)["details"]) == (
        400,
        [{"@type": "type.googleapis.com/nobody.Knows", "value": "/w=="}],
    )


async def test_a_response_without_json_is_internal(app: ASGIApp, feed: FakeFeed) -> None:
    """An Any of a type that nobody knows cannot be written, and it is no caller's fault."""
    feed.extra = ("type.googleapis.com/nobody.Knows", b"")
    answer = await ask(app, "GET", "/v1/items/a")
    assert (answer.status, json.loads(answer.body)["code"]) == (500, 13)


async def test_every_code_has_a_status(app: ASGIApp, feed: FakeFeed) -> None:
    """All of gRPC's codes are answered, as grpc-gateway answers them."""
    for code in set(grpc.StatusCode) - {grpc.StatusCode.OK}:
        feed.failure = (code, "m")
        answer = await ask(app, "GET", "/v1/items/a")
        assert answer.status == transcoding.HTTP_STATUS[code], code


async def test_only_http_is_served(app: ASGIApp) -> None:
    """A WebSocket is closed, and a lifespan is left to who has one."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await app({"type": "websocket"}, receive, send)
    await app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "websocket.close"}]


async def test_descriptors_serve_as_well(
    image: descriptor_pb2.FileDescriptorSet, feed: FakeFeed
) -> None:
    """Services can be given as descriptors, and an image that lacks an import is refused."""
    async with grpc.aio.insecure_channel("unix:/dev/null") as channel:
        app = transcoding.app([feed.service], channel)
        assert (await ask(app, "GET", "/nothing")).status == 404
        lacking = descriptor_pb2.FileDescriptorSet(file=image.file[-1:])
        with pytest.raises(transcoding.RuleError, match="not complete"):
            transcoding.app(lacking, channel)
