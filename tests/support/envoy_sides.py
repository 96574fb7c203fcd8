"""The two that are compared, Envoy and our transcoder, before the same echo server."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from echo_api import Call, EchoServer, compile_descriptors, read_services, serve_echo
from envoy_process import Listening, envoy, pipe, transcoding_config
from starlette.responses import Response

from gateway import http_server, refusal
from gateway.settings import GatewaySettings
from gateway.transcoding.asgi import Transcoder
from gateway.transcoding.calling import ChannelCaller, Reply
from gateway.transcoding.router import make_router
from serving.channel import open_channel

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from google.protobuf.descriptor import ServiceDescriptor
    from starlette.requests import Request

    from gateway.transcoding.errors import CallFailedError, RequestError
    from gateway.transcoding.strict_json import Json

    Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

NOT_ENVOYS = {"echo.v1.Parts"}
"""Services whose rules Envoy refuses."""
_MAX_BODY_BYTES = 65_536


@dataclass(frozen=True)
class Case:
    """One HTTP request, as bytes that no client library would improve."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the case is called in tests and in the list of differences."""
        shown = [self.method, self.target]
        if self.body:
            shown.append(self.body[:90].decode("latin-1"))
        return " ".join([*shown, *(f"[{line}]" for line in self.headers)])

    @property
    def data(self) -> bytes:
        """The bytes to send. A body is JSON, and has a length, unless the headers say otherwise."""
        named = {line.partition(":")[0].lower() for line in self.headers}
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: x", "Connection: close"]
        lines += self.headers
        if self.body and "content-type" not in named:
            lines.append("Content-Type: application/json")
        if (self.body or self.method in {"POST", "PUT", "PATCH"}) and named.isdisjoint(
            {"content-length", "transfer-encoding"}
        ):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True)
class Seen:
    """What came of a case on one side: the answer, and what reached the server behind it."""

    status: int
    content_type: str
    body: bytes
    calls: tuple[Call, ...]

    @property
    def tree(self) -> Any:
        """The body's JSON, or the body itself if it is none; NaN differs from nothing here."""
        try:
            return json.loads(self.body, parse_constant=lambda name: f"<{name}>")
        except ValueError:
            return self.body


@dataclass(frozen=True)
class Side:
    """What takes HTTP requests, and the server behind it."""

    connect: Connect
    echo: EchoServer

    async def ask(self, case: Case) -> Seen:
        """Send a request, on a connection of its own; return what came of it."""
        self.echo.take()
        reader, writer = await self.connect()
        try:
            writer.write(case.data)
            data = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.transport.abort()
        answer = _parse(data, case.method)
        content_type = answer.headers.get("content-type", "")
        return Seen(answer.status, content_type, answer.read(), tuple(self.echo.take()))


def _parse(data: bytes, method: str) -> http.client.HTTPResponse:
    class Socket:
        def makefile(self, *_args: Any) -> io.BytesIO:
            return io.BytesIO(data)

    answer = http.client.HTTPResponse(cast("socket.socket", Socket()), method=method)
    answer.begin()
    return answer


@dataclass(frozen=True)
class Sides:
    """Both of them, and the paths of the gRPC methods that both serve."""

    envoy: Side
    ours: Side
    methods: frozenset[str]


@asynccontextmanager
async def both_sides(place: Path) -> AsyncIterator[Sides]:
    """Run Envoy, our transcoder and the echo server."""
    image = compile_descriptors(place)
    services = read_services(image)
    upstream = place / "echo.sock"
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(serve_echo(services, f"unix:{upstream}"))
        listening = Listening(pipe(place / "envoy.sock"), {})
        names = [each.full_name for each in services if each.full_name not in NOT_ENVOYS]
        config = transcoding_config(image, names, pipe(upstream), [listening])
        await stack.enter_async_context(envoy(place, config, listening.address))
        port = await stack.enter_async_context(_transcoder(services, f"unix:{upstream}"))
        yield Sides(
            Side(lambda: asyncio.open_unix_connection(place / "envoy.sock"), echo),
            Side(lambda: asyncio.open_connection("127.0.0.1", port), echo),
            frozenset(
                f"/{each.full_name}/{rpc.name}"
                for each in services
                for rpc in each.methods
                if each.full_name in names
            ),
        )


class _PlainEnvelope:
    """A response is its JSON; of a refusal, the status is all that is compared."""

    def success(self, request: Request, tree: Json, reply: Reply) -> Response:  # noqa: ARG002
        return Response(json.dumps(tree), media_type="application/json")

    def refusal(self, request: Request, error: RequestError) -> Response:  # noqa: ARG002
        return Response(str(error), refusal.of_request(error).status)

    def failure(self, request: Request, error: CallFailedError) -> Response:  # noqa: ARG002
        return Response(error.message, refusal.of_call(error).status)


@asynccontextmanager
async def _transcoder(services: list[ServiceDescriptor], upstream: str) -> AsyncIterator[int]:
    settings = GatewaySettings(port=0, drain_seconds=1)
    listener = http_server.listen(settings.host, settings.port)
    stop = asyncio.Event()
    async with open_channel(upstream) as channel:
        app = Transcoder(
            make_router(services),
            ChannelCaller(channel, timeout=10),
            _PlainEnvelope(),
            metadata=lambda _: (),
            prepare=lambda _message, _headers: None,
            max_body_bytes=_MAX_BODY_BYTES,
            body_timeout=10,
        )
        server = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await server
