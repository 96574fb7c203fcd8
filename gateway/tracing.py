"""Spans of the gateway: a SERVER span per request, a CLIENT span per RPC.

By the semantic conventions for HTTP and RPC, but for `url.path` and
`url.query`: what callers write there is theirs, and may be a secret.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http import HTTPStatus

from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.trace import Span
from starlette.datastructures import Headers

from gateway.transcoding.calling import Caller, CallOptions, Reply, ReplyStream
from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.rules import Binding
from serving import rpc_client, trace_context, tracing
from serving.instruments import OTHER
from serving.metrics import HTTP_METHODS


def method_name(method: str) -> str:
    """Return `method` if it is one, for a caller can send any word as its method."""
    return method if method in HTTP_METHODS else OTHER


@contextmanager
def request_span(method: str, route: str | None, headers: Headers) -> Iterator[Span]:
    """Serve a request inside a span that continues the caller's trace, if it sent one."""
    known = method_name(method)
    attributes = {tracing.HTTP_METHOD: known}
    if route is not None:
        attributes[tracing.HTTP_ROUTE] = route
    name = known if known != OTHER else "HTTP"
    carrier = trace_context.carrier(headers.items())
    with tracing.server_span(f"{name} {route}" if route else name, carrier, attributes) as span:
        yield span


def describe(span: Span, *, scheme: str, protocol_version: str, status: int, routed: bool) -> None:
    """Add to a request's span what is known only at its end."""
    if not span.is_recording():
        return
    span.set_attribute(tracing.URL_SCHEME, scheme)
    span.set_attribute(tracing.PROTOCOL_VERSION, protocol_version)
    span.set_attribute(tracing.HTTP_STATUS, status)
    if routed and status >= HTTPStatus.BAD_REQUEST:
        tracing.want(span)  # not what is nowhere: strangers try that all the time
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        tracing.fail(span, str(status))


class TracedCaller:
    """Makes RPCs, each inside a span whose context goes along as metadata."""

    def __init__(self, call: Caller, untraced: frozenset[str] = frozenset()) -> None:
        """Trace all RPCs but `untraced` (full names, as `package.Service.Method`)."""
        self._call = call
        self._untraced = untraced

    async def unary(self, binding: Binding, request: Message, options: CallOptions) -> Reply:
        """Return the reply. Raises CallFailedError."""
        with self._span(binding, options) as traced:
            return await self._call.unary(binding, request, traced)

    @asynccontextmanager
    async def stream(
        self, binding: Binding, request: Message, options: CallOptions
    ) -> AsyncIterator[ReplyStream]:
        """Return the replies, inside a span that ends with them. Raises CallFailedError."""
        with self._span(binding, options) as traced:
            async with self._call.stream(binding, request, traced) as replies:
                yield replies

    @contextmanager
    def _span(self, binding: Binding, options: CallOptions) -> Iterator[CallOptions]:
        """Open a span, and yield the options with its context."""
        if binding.rpc.full_name in self._untraced:
            yield options
            return
        streams = binding.rpc.server_streaming
        if streams:
            tracing.wait_for(trace.get_current_span())
        with rpc_client.called(binding.rpc_path.removeprefix("/"), streams=streams) as call:
            try:
                yield replace(options, metadata=(*options.metadata, *call.metadata))
            except CallFailedError as error:
                call.failed(error.code.name)
                raise
