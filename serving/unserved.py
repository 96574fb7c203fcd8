"""RPCs that reach no method of ours: of a name that there is not, or with what is no message.

grpc answers both by itself. It says nothing of the first; of the second it says, by an
error with a traceback, that the fault is ours.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from serving import errors, trace_context, tracing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]
    StreamBehavior = Callable[[Any, Context], AsyncGenerator[Any, None]]

log = structlog.get_logger(__name__)

_MAX_METHOD = 100


class UnknownMethods(grpc.aio.ServerInterceptor):
    """Ends RPCs of unknown methods in UNIMPLEMENTED, with one log line.

    To stand first: what remembers methods by their names must not see strangers' own.
    """

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the method's handler, or one that refuses."""
        handler = await continuation(handler_call_details)
        if handler is not None:
            return handler
        method: str = handler_call_details.method

        async def refuse(_requests: AsyncIterator[bytes], context: Context) -> None:
            unimplemented = grpc.StatusCode.UNIMPLEMENTED
            metadata: Any = context.invocation_metadata() or ()
            with tracing.within(tracing.of_caller(trace_context.carrier(metadata))):
                log.info(
                    "rpc",
                    method=method.removeprefix("/")[:_MAX_METHOD],
                    code=unimplemented.name,
                    reason=None,
                    cause=None,
                    request_id=None,
                    duration_ms=0.0,
                )
            await context.abort(unimplemented, "There is no such method.")

        return grpc.stream_stream_rpc_method_handler(refuse)


class ReadableRequests(grpc.aio.ServerInterceptor):
    """Ends RPCs of one request whose bytes are no message in InvalidArgument.

    To stand last, after RequestInterceptor, which renders that. Health and reflection pass.
    """

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Read the message where an error of it can be told."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith("/grpc."):
            return handler
        coding = {
            "request_deserializer": _reading(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_unary(handler.unary_unary), **coding)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(_stream(handler.unary_stream), **coding)
        return handler


class _Unreadable:
    def __init__(self, error: DecodeError) -> None:
        self.error = error


def _reading(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Unreadable(error)

    return read


def _unary(behavior: Behavior) -> Behavior:
    async def readable(request: Any, context: Context) -> Any:
        _ensure_readable(request)
        return await behavior(request, context)

    return readable


def _stream(behavior: StreamBehavior) -> StreamBehavior:
    async def readable(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        _ensure_readable(request)
        async with aclosing(behavior(request, context)) as answers:
            async for answer in answers:
                yield answer

    return readable


def _ensure_readable(request: Any) -> None:
    if isinstance(request, _Unreadable):
        raise errors.InvalidArgument("request", "must be a message") from request.error
