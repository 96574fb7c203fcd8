"""Serve any gRPC API over HTTP, in one call."""

from collections.abc import Callable, Iterable

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.transcoding.answering import AnswerHeaders
from gateway.transcoding.asgi import DEFAULT_PAUSE, Envelope, Transcoder, no_headers
from gateway.transcoding.calling import ChannelCaller, Metadata
from gateway.transcoding.envelopes import StatusEnvelope
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.receiving import single
from gateway.transcoding.router import make_router, services

Services = descriptor_pb2.FileDescriptorSet | Iterable[ServiceDescriptor]


def app(
    served: Services,
    channel: grpc.aio.Channel,
    *,
    envelope: Envelope | None = None,
    metadata: Callable[[Request], Metadata] | None = None,
    timeout: Callable[[Request], float | None] = lambda _: None,
    prepare: Callable[[Message, Headers], None] = lambda _message, _headers: None,
    answer_headers: AnswerHeaders = no_headers,
    auto_mapping: bool = False,
    rpc_timeout: float = 30.0,
    stream_timeout: float | None = None,
    max_body_bytes: int = 4 * 1024 * 1024,
    body_timeout: float = 30.0,
    pause: float = DEFAULT_PAUSE,
) -> ASGIApp:
    """Return an ASGI application that serves gRPC services over HTTP and JSON.

    `served` are the services: a FileDescriptorSet, as `protoc --include_imports`
    writes it, or descriptors, as generated modules have them. All their unary and
    server-streaming methods with a `google.api.http` rule are served, and made as
    RPCs on `channel`.

    - `envelope`: what answers look like; by default StatusEnvelope, the bare
      message, or `{"code", "message", "details"}`.
    - `metadata`: the metadata of the RPC for a request; by default its
      `Authorization` and nothing else. May raise RequestError, as may the next two.
    - `timeout`: the seconds that a request allows for its RPC, None if it does not say.
    - `prepare`: completes a bound message from the headers.
    - `answer_headers`: the headers that the server's initial metadata become,
      for streams and raw bodies; what an envelope writes has its own.
    - `auto_mapping`: methods without rules are served as `POST /package.Service/Method`.
    - `rpc_timeout`, `stream_timeout`: seconds that an RPC may take, whatever the
      request allows; a stream may take forever, unless told otherwise.
    - `max_body_bytes`, `body_timeout`: how large a body may be, and the seconds it has
      to arrive in.
    - `pause`: seconds without a message after which a stream says that it lives.

    Raises RuleError if a rule cannot be served, or contradicts another.
    """
    if isinstance(served, descriptor_pb2.FileDescriptorSet):
        served = services(served)
    router = make_router(served, auto_mapping=auto_mapping)
    transcoder = Transcoder(
        router,
        ChannelCaller(channel, rpc_timeout, stream_timeout),
        envelope or StatusEnvelope(),
        metadata=metadata or authorization,
        timeout=timeout,
        prepare=prepare,
        max_body_bytes=max_body_bytes,
        body_timeout=body_timeout,
        answer_headers=answer_headers,
        pause=pause,
    )

    async def only_http(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await transcoder(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    return only_http


def authorization(request: Request) -> Metadata:
    """Return the `Authorization` header as metadata, none if it is absent.

    Raises InvalidRequestError if it is there twice, or not printable ASCII.
    """
    value = single(request.headers, "authorization")
    if value is None:
        return ()
    if not (value.isascii() and value.isprintable()):
        raise InvalidRequestError("must be printable ASCII", field="Authorization")
    return (("authorization", value),)
