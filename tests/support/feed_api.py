"""A gRPC service of streams and raw bodies, and an ASGI application driven without a socket."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import grpc
import grpc_tools  # type: ignore[import-untyped]
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, message_factory
from grpc_tools import protoc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from google.protobuf.descriptor import ServiceDescriptor
    from starlette.types import ASGIApp, Message

Context = grpc.aio.ServicerContext[Any, Any]

_INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",
    Path(annotations_pb2.__file__).parents[2],
)


def compile_image(source: Path, into: Path) -> descriptor_pb2.FileDescriptorSet:
    """Compile a proto file with all its imports."""
    image = into / "image.binpb"
    arguments = ["protoc", f"-I{source.parent}", *(f"-I{path}" for path in _INCLUDES)]
    arguments += ["--include_imports", f"--descriptor_set_out={image}", source.name]
    assert protoc.main(arguments) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())


@dataclass
class FakeFeed:
    """Serves `feed.v1.Feed`: `size` bytes in a name, as many items as are asked for.

    After them it fails if there is a `failure`; while `held`, it brings nothing.
    """

    service: ServiceDescriptor
    failure: tuple[grpc.StatusCode, str] | None = None
    status_details: bytes = b""
    held: asyncio.Event | None = None
    size: int = 0
    extra: tuple[str, bytes] | None = None
    media_type: str = "image/png"
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    produced: int = 0
    requests: list[Any] = field(default_factory=list)
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    time_remaining: float = math.inf

    def reset(self) -> None:
        """Forget everything but which service it is."""
        self.__init__(self.service)  # type: ignore[misc]

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server is given."""
        methods = {rpc.name: self._handler(rpc) for rpc in self.service.methods}
        return grpc.method_handlers_generic_handler(self.service.full_name, methods)

    def _handler(self, rpc: Any) -> grpc.RpcMethodHandler[Any, Any]:
        request_class, response_class = map(
            message_factory.GetMessageClass, (rpc.input_type, rpc.output_type)
        )

        async def unary(request: Any, context: Context) -> Any:
            await self._enter(request, context)
            await self._fail(context)
            return self._fill(response_class(), request)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                await self._enter(request, context)
                for _ in range(request.count):
                    self.produced += 1
                    yield self._fill(response_class(), request)
                if self.held is not None and request.count:
                    await self.held.wait()
                await self._fail(context)
            except (asyncio.CancelledError, GeneratorExit):
                self.cancelled.set()
                raise

        make: Any = (
            grpc.unary_stream_rpc_method_handler
            if rpc.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        handler: grpc.RpcMethodHandler[Any, Any] = make(
            stream if rpc.server_streaming else unary,
            request_deserializer=request_class.FromString,
            response_serializer=response_class.SerializeToString,
        )
        return handler

    async def _enter(self, request: Any, context: Context) -> None:
        self.requests.append(request)
        self.entered.set()
        self.metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        self.time_remaining = context.time_remaining() or math.inf
        await context.send_initial_metadata((("x-served-by", "feed"),))
        if self.held is not None and not getattr(request, "count", 0):
            await self.held.wait()

    async def _fail(self, context: Context) -> None:
        if self.failure is not None:
            if self.status_details:
                context.set_trailing_metadata((("grpc-status-details-bin", self.status_details),))
            await context.abort(*self.failure)

    def _fill(self, response: Any, request: Any) -> Any:
        kind = response.DESCRIPTOR.name
        if kind == "Item":
            response.name = request.name + "x" * self.size
            response.number = self.produced
            if self.extra is not None:
                response.extra.type_url, response.extra.value = self.extra
        elif request.DESCRIPTOR.name == "HttpBody":
            response.MergeFrom(request)
        else:
            body = response.content if kind == "File" else response
            body.content_type, body.data = self.media_type, f"<{request.name}>".encode()
        return response


@dataclass
class Exchange:
    """A request on its way through an ASGI application, and what comes back chunk by chunk."""

    sent: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(1))
    left: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        """Wait for status and headers."""
        message = await self.sent.get()
        assert message["type"] == "http.response.start", message
        self.status = message["status"]
        self.headers = {k.decode(): v.decode() for k, v in message["headers"]}

    async def chunk(self) -> bytes | None:
        """Take a chunk; None is the end."""
        message = await self.sent.get()
        assert message["type"] == "http.response.body", message
        more: bool = message.get("more_body", False)
        return bytes(message["body"]) if more else None

    async def rest(self) -> bytes:
        """Take all that is left."""
        body = b""
        while True:
            message = await self.sent.get()
            body += bytes(message.get("body", b""))
            if not message.get("more_body"):
                return body


@asynccontextmanager
async def exchange(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> AsyncIterator[Exchange]:
    """Send a request to `app`; what is not taken of the answer when this ends, the client left."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()],
    }
    running = Exchange()
    arrived = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if arrived:
            return arrived.pop()
        await running.left.wait()
        return {"type": "http.disconnect"}

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_run(app, scope, receive, running))
        yield running
        running.left.set()
        while not serving.done():  # whoever sends must not wait for a taker that is gone
            while not running.sent.empty():
                running.sent.get_nowait()
            await asyncio.wait({serving}, timeout=0.01)


async def _run(app: ASGIApp, scope: Any, receive: Any, running: Exchange) -> None:
    await app(scope, receive, running.sent.put)


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: ASGIApp, method: str, target: str, **options: Any) -> Answer:
    """Send a request, and return the whole answer."""
    async with exchange(app, method, target, **options) as running:
        await running.start()
        return Answer(running.status, running.headers, await running.rest())
