"""The echo API's descriptors, and a real gRPC server that answers with what it was asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc_tools  # type: ignore[import-untyped]
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_tools import protoc

from gateway.transcoding.router import services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext[Any, Any]

_HERE = Path(__file__).parent
_INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",
    Path(annotations_pb2.__file__).parents[2],
)
_PROTOS = (
    "echo.proto",
    "tokenservice/v1/tokenservice.proto",
    "google/rpc/error_details.proto",  # for Envoy, which prints the details of errors
)
_SECONDS = 1_767_225_600  # 2026-01-01T00:00:00Z


def compile_descriptors(into: Path) -> Path:
    """Write the FileDescriptorSet of the echo API and of TokenService; return where it is."""
    return compile_protos(into, [_HERE, _HERE.parents[1] / "proto"], _PROTOS)


def compile_protos(into: Path, roots: Iterable[Path], protos: Iterable[str]) -> Path:
    """Write the FileDescriptorSet of protos below `roots`; return where it is."""
    image = into / "image.binpb"
    arguments = ["protoc", *(f"-I{path}" for path in (*roots, *_INCLUDES)), "--include_imports"]
    if protoc.main([*arguments, f"--descriptor_set_out={image}", *protos]) != 0:
        raise RuntimeError("the protos do not compile")
    return image


def read_services(image: Path) -> list[ServiceDescriptor]:
    """Return the services of a FileDescriptorSet, in a pool of their own."""
    return services(descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()))


@dataclass(frozen=True)
class Call:
    """An RPC as the server saw it."""

    path: str
    request: Message


@dataclass
class EchoServer:
    """Remembers what it was asked since it was last asked for it."""

    _calls: list[Call] = field(default_factory=list)

    def take(self) -> list[Call]:
        """Return the RPCs since this was called before."""
        calls, self._calls = self._calls, []
        return calls

    async def answer(self, rpc: MethodDescriptor, request: Message, context: Context) -> Message:
        """Answer one RPC: the request itself, or what its type allows."""
        self._calls.append(Call(f"/{rpc.containing_service.full_name}/{rpc.name}", request))
        if rpc.input_type.name == "Failure":
            await fail(request, context)
        if rpc.output_type is rpc.input_type:
            return request
        response = message_factory.GetMessageClass(rpc.output_type)()
        _fill(response, request)
        return response

    async def stream(
        self, rpc: MethodDescriptor, request: Any, context: Context
    ) -> AsyncIterator[Message]:
        """Answer one RPC with as many messages as a Counting asks for."""
        self._calls.append(Call(f"/{rpc.containing_service.full_name}/{rpc.name}", request))
        for number in range(request.count):
            response: Any = message_factory.GetMessageClass(rpc.output_type)()
            if rpc.output_type.name == "HttpBody":
                response.content_type, response.data = "text/plain", f"{number};".encode()
            else:
                response.small, response.text = number, "a\nb\u2028é"
            yield response
        await fail(request, context)


def _fill(response: Any, request: Any) -> None:
    if response.DESCRIPTOR.name == "Seen":
        show(response, request)
    elif response.DESCRIPTOR.name in {"HttpBody", "Page"}:
        body = response if response.DESCRIPTOR.name == "HttpBody" else response.content
        body.content_type, body.data = request.word, request.text.encode()
    else:
        populate(response)


def show(seen: Any, request: Any) -> None:
    """Fill a Seen, which has parts of the request to choose from."""
    seen.request.CopyFrom(request)
    if request.small:
        seen.requests.add().CopyFrom(request)
    seen.text, seen.number = request.text, request.large
    seen.texts.extend(request.texts)
    if request.HasField("time"):
        seen.time.CopyFrom(request.time)
    for name, value in request.labels.items():
        seen.labels[name] = value


async def fail(request: Any, context: Context) -> None:
    """End the RPC as a Failure or Counting asks for; 0 is no failure."""
    if not request.code:
        return
    code = next(each for each in grpc.StatusCode if each.value[0] == request.code)
    if request.DESCRIPTOR.name == "Counting":
        await context.abort(code, "no more")
    if request.detailed:
        status = status_pb2.Status(code=request.code, message=request.message)
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SO", domain="echo"))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, request.message)


def populate(message: Message, depth: int = 0) -> None:
    """Set each field of `message` to something that its name or type suggests."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        setattr(message, "seconds", _SECONDS)  # noqa: B010 - which Message does not have
        return
    fields: Any = message.DESCRIPTOR.fields
    for each in fields:
        kind = each.message_type
        value = getattr(message, each.name)
        if kind is not None and kind.GetOptions().map_entry:
            continue
        if kind is None:
            scalar = _scalar(each)
            value.append(scalar) if each.is_repeated else setattr(message, each.name, scalar)
        elif depth < 3:
            member = value.add() if each.is_repeated else value
            member.SetInParent()
            populate(member, depth + 1)


def _scalar(each: FieldDescriptor) -> Any:
    if each.enum_type is not None:
        return each.enum_type.values[-1].number
    samples: dict[int, Any] = {each.CPPTYPE_STRING: each.name, each.CPPTYPE_BOOL: True}
    if each.type == each.TYPE_BYTES:
        return each.name.encode()
    if each.cpp_type in {each.CPPTYPE_FLOAT, each.CPPTYPE_DOUBLE}:
        return each.number + 0.5
    return samples.get(each.cpp_type, each.number)


@asynccontextmanager
async def serve_echo(
    all_services: Iterable[ServiceDescriptor], address: str
) -> AsyncIterator[EchoServer]:
    """Serve `all_services` at a gRPC address."""
    echo = EchoServer()
    server = grpc.aio.server()
    for service in all_services:
        handlers = {rpc.name: _handler(echo, rpc) for rpc in service.methods}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service.full_name, handlers),)
        )
    server.add_insecure_port(address)
    await server.start()
    try:
        yield echo
    finally:
        await server.stop(grace=None)


def _handler(echo: EchoServer, rpc: MethodDescriptor) -> Any:
    async def answer(request: Message, context: Context) -> Message:
        return await echo.answer(rpc, request, context)

    async def stream(request: Message, context: Context) -> AsyncIterator[Message]:
        async for message in echo.stream(rpc, request, context):
            yield message

    make: Any = grpc.unary_unary_rpc_method_handler
    if rpc.server_streaming:
        make = grpc.unary_stream_rpc_method_handler
    return make(
        stream if rpc.server_streaming else answer,
        request_deserializer=message_factory.GetMessageClass(rpc.input_type).FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
