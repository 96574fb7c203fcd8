"""What every RPC of ours passes through: a span, the error's form, one log line."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from serving import errors, rendering, tracing
from serving.logs import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from opentelemetry.trace import Span

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]

log = structlog.get_logger(__name__)

_MAX_CAUSE = 200
_MAX_REQUEST_ID = 128

# The server's own fault, by the RPC semantic conventions; the rest is the caller's.
_SERVER_FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Traces, logs and renders the errors of unary RPCs.

    Health and reflection stream or are asked all the time: they pass untouched.
    """

    def __init__(self, untraced: frozenset[str] = frozenset()) -> None:
        """Trace all methods but `untraced` (full names, as `/package.Service/Method`)."""
        self._untraced = untraced
        self._handlers: dict[str, Any] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wrap the method's handler, once."""
        method: str = handler_call_details.method
        if (wrapped := self._handlers.get(method)) is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or method.startswith("/grpc."):
            return handler
        run = _quiet if method in self._untraced else _traced
        wrapped = grpc.unary_unary_rpc_method_handler(
            run(method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        self._handlers[method] = wrapped
        return wrapped


def _traced(method: str, behavior: Behavior) -> Behavior:
    name = method.removeprefix("/")
    attributes = {tracing.RPC_SYSTEM: "grpc", tracing.RPC_METHOD: name}

    async def traced(request: Any, context: Context) -> Any:
        started = time.perf_counter()
        carrier = {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)}
        with tracing.server_span(name, carrier, attributes) as span:
            try:
                answer = await _served(name, behavior, request, context)
            except errors.ServiceError as error:
                _finish(
                    span, name, rendering.status_code(error), started, carrier=carrier, error=error
                )
                await _abort(context, error)
            except asyncio.CancelledError:  # the caller left, or its deadline passed
                _finish(span, name, grpc.StatusCode.CANCELLED, started, carrier=carrier, error=None)
                raise
            else:
                _finish(span, name, grpc.StatusCode.OK, started, carrier=carrier, error=None)
                return answer

    return traced


def _quiet(method: str, behavior: Behavior) -> Behavior:
    async def quiet(request: Any, context: Context) -> Any:
        try:
            return await _served(method, behavior, request, context)
        except errors.ServiceError as error:
            await _abort(context, error)

    return quiet


async def _served(name: str, behavior: Behavior, request: Any, context: Context) -> Any:
    try:
        return await behavior(request, context)
    except errors.ServiceError:
        raise
    except Exception as error:  # the last net: what it says is for the log, not for a caller
        log.exception("rpc failed", method=name)
        raise errors.Internal from error


def _finish(
    span: Span,
    name: str,
    code: grpc.StatusCode,
    started: float,
    *,
    carrier: Mapping[str, str],
    error: Exception | None,
) -> None:
    reason = getattr(error, "reason", None)
    if span.is_recording():
        span.set_attribute(tracing.RPC_STATUS, code.name)
        if reason is not None:
            span.set_attribute(tracing.REASON, reason)
    fault = code in _SERVER_FAULTS
    if fault:
        tracing.fail(span, code.name)
    (log.warning if fault else log.info)(
        "rpc",
        method=name,
        code=code.name,
        reason=reason,
        cause=_cause(error),
        request_id=carrier.get("x-request-id", "")[:_MAX_REQUEST_ID] or None,
        duration_ms=round((time.perf_counter() - started) * 1000, 3),
    )


def _cause(error: Exception | None) -> str | None:
    cause = error.__cause__ if error is not None else None
    return f"{type(cause).__name__}: {redact(str(cause))}"[:_MAX_CAUSE] if cause else None


async def _abort(context: Context, error: errors.ServiceError) -> None:
    await context.abort(
        rendering.status_code(error),
        error.message,
        trailing_metadata=((rendering.DETAILS_KEY, rendering.status_details(error)),),
    )
