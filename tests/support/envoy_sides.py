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

from gateway import http_server
from gateway.settings import GatewaySettings
from gateway.transcoding import app
from serving.channel import open_channel

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from google.protobuf.descriptor import ServiceDescriptor

    Connect = Callable[[str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

STREAMS = {
    "": {},
    "array": {},
    "lines": {"stream_newline_delimited": True},
    "events": {"stream_sse_style_delimited": True},
}
"""How streams are written, and what Envoy must be told for it: of us, clients ask for one."""
NOT_ENVOYS = {"echo.v1.Parts"}
"""Services whose rules Envoy refuses."""
_MAX_BODY_BYTES = 65_536


@dataclass(frozen=True)
class Case:
    """One HTTP request, as bytes that no client library would improve.

    `stream` is how the answer's messages are written, one of STREAMS; empty if it is no stream.
    """

    method: str
    target: str
    body: bytes = b""
    headers: tuple[str, ...] = ()
    stream: str = ""

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
    cut: bool
    """Whether the answer broke off."""
    calls: tuple[Call, ...]

    @property
    def tree(self) -> Any:
        """The body's JSON, or the body itself if it is none."""
        return _parse_json(self.body)

    @property
    def lines(self) -> list[Any]:
        """The JSON of each line."""
        return [_parse_json(line) for line in self.body.split(b"\n") if line]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events, their names and their JSON."""
        events = []
        for block in self.body.split(b"\n\n"):
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if line)
            if b"data" in fields:
                name = fields.get(b"event", b"message").decode()
                events.append((name, _parse_json(fields[b"data"])))
        return events


@dataclass(frozen=True)
class Side:
    """What takes HTTP requests, and the server behind it."""

    connect: Connect
    echo: EchoServer

    async def ask(self, case: Case) -> Seen:
        """Send a request, on a connection of its own; return what came of it."""
        self.echo.take()
        reader, writer = await self.connect(case.stream)
        try:
            writer.write(case.data)
            data = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.transport.abort()
        answer = _parse(data, case.method)
        content_type = answer.headers.get("content-type", "")
        try:
            body, cut = answer.read(), False
        except http.client.IncompleteRead as broken:
            body, cut = broken.partial, True
        return Seen(answer.status, content_type, body, cut, tuple(self.echo.take()))


def _parse_json(data: bytes) -> Any:
    try:
        return json.loads(
            data, parse_constant=lambda name: f"<{name}>"
        )  # NaN would differ from NaN
    except ValueError:
        return data


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
        names = [each.full_name for each in services if each.full_name not in NOT_ENVOYS]
        places = {name: place / f"envoy-{name}.sock" for name in STREAMS}
        listeners = [Listening(pipe(places[name]), told) for name, told in STREAMS.items()]
        config = transcoding_config(image, names, pipe(upstream), listeners)
        await stack.enter_async_context(envoy(place, config, listeners[-1].address))
        port = await stack.enter_async_context(_transcoder(services, f"unix:{upstream}"))
        yield Sides(
            Side(lambda stream: asyncio.open_unix_connection(places[stream]), echo),
            Side(lambda _stream: asyncio.open_connection("127.0.0.1", port), echo),
            frozenset(
                f"/{each.full_name}/{rpc.name}"
                for each in services
                for rpc in each.methods
                if each.full_name in names
            ),
        )


@asynccontextmanager
async def _transcoder(services: list[ServiceDescriptor], upstream: str) -> AsyncIterator[int]:
    settings = GatewaySettings(port=0, drain_seconds=1)
    listener = http_server.listen(settings.host, settings.port)
    stop = asyncio.Event()
    async with open_channel(upstream) as channel:
        served = app(services, channel, max_body_bytes=_MAX_BODY_BYTES)
        server = asyncio.create_task(http_server.serve(served, listener, settings, stop))
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await server
