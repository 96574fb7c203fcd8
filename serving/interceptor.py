"""What every RPC of ours passes through: a span, metrics, the error's form, one log line."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog

from serving import errors, metrics, rendering, trace_context, tracing
from serving.log_areas import debugging
from serving.logs import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from opentelemetry.context import Context as OtelContext
    from opentelemetry.trace import Span

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]
    StreamBehavior = Callable[[Any, Context], AsyncIterator[Any]]

log = structlog.get_logger(__name__)

_MAX_CAUSE = 200
_MAX_REQUEST_ID = 128
_REQUEST_ID = "x-request-id"
_TRACE_ID = "x-trace-id"
_END = object()

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
    """Traces, measures, logs and renders the errors of RPCs with one request message.

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
        if handler is None or method.startswith("/grpc."):
            return handler
        coding = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            run = _quiet if method in self._untraced else _observed
            wrapped = grpc.unary_unary_rpc_method_handler(
                run(method, handler.unary_unary), **coding
            )
        elif handler.unary_stream is not None:
            wrapped = grpc.unary_stream_rpc_method_handler(
                _observed_stream(method, handler.unary_stream), **coding
            )
        else:
            return handler
        self._handlers[method] = wrapped
        return wrapped


def _observed(method: str, behavior: Behavior) -> Behavior:
    name = method.removeprefix("/")

    async def observed(request: Any, context: Context) -> Any:
        with _call(name, context) as call:
            try:
                return await _served(name, behavior(request, context))
            except errors.ServiceError as error:
                call.failed(error)
                await _abort(context, error)

    return observed


def _observed_stream(method: str, behavior: StreamBehavior) -> StreamBehavior:
    name = method.removeprefix("/")

    async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
        # A generator that nobody asks any more is closed by another task than it ran in, so
        # the span is current while the handler runs, and not while an answer is on its way.
        call, span, inside = _begin(name, context)
        tracing.wait_for(span)
        answers = behavior(request, context)
        try:
            while True:
                with tracing.within(inside):
                    answer = await _served(name, anext(answers, _END))
                if answer is _END:
                    break
                yield answer
        except errors.ServiceError as error:
            call.failed(error)
            with tracing.within(inside):
                await _abort(context, error)
        except BaseException:
            call.cut_off()
            raise
        finally:
            with tracing.within(inside):
                try:
                    await _close(name, answers)
                finally:
                    call.finish(span)
                    tracing.end(span)

    return observed


def _quiet(method: str, behavior: Behavior) -> Behavior:
    async def quiet(request: Any, context: Context) -> Any:
        try:
            return await _served(method, behavior(request, context))
        except errors.ServiceError as error:
            await _abort(context, error)

    return quiet


async def _served(name: str, answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except errors.ServiceError:
        raise
    except Exception as error:  # the last net: what it says is for the log, not for a caller
        log.exception("rpc failed", method=name)
        raise errors.Internal from error


class _Call:
    """A call, from its beginning to what is told of it at its end."""

    def __init__(self, name: str, request_id: str | None) -> None:
        self._name = name
        self._request_id = request_id
        self._started = time.perf_counter()
        self._error: errors.ServiceError | None = None
        self.code = grpc.StatusCode.OK

    def failed(self, error: errors.ServiceError) -> None:
        """Note how it ends."""
        self._error, self.code = error, rendering.status_code(error)

    def cut_off(self) -> None:
        """Note that it did not get to its end: the caller left, or its deadline passed."""
        if self.code is grpc.StatusCode.OK:
            self.code = grpc.StatusCode.CANCELLED

    def finish(self, span: Span) -> None:
        """Tell the span, the metrics and the log how it ended."""
        metrics.RPC_ACTIVE.add(-1)
        seconds = time.perf_counter() - self._started
        code, reason = self.code.name, getattr(self._error, "reason", None)
        fault = self.code in _SERVER_FAULTS
        if span.is_recording():
            span.set_attribute(tracing.RPC_STATUS, code)
            if reason is not None:
                span.set_attribute(tracing.REASON, reason)
                tracing.want(span)
        if fault:
            tracing.fail(span, code)
        metrics.RPC_SERVER_DURATION.record(
            seconds,
            tracing.exemplar_of(span),
            method=self._name,
            code=code,
            error=code if fault else None,
        )
        (log.warning if fault else log.info)(
            "rpc",
            method=self._name,
            code=code,
            reason=reason,
            cause=_cause(self._error),
            request_id=self._request_id,
            duration_ms=round(seconds * 1000, 3),
        )


@contextmanager
def _call(name: str, context: Context) -> Iterator[_Call]:
    call, span, inside = _begin(name, context)
    with tracing.within(inside):
        if debugging(__name__):
            log.debug("rpc begins", method=name, remaining_ms=_remaining_ms(context))
        try:
            yield call
        except BaseException:
            call.cut_off()
            raise
        finally:
            call.finish(span)
            tracing.end(span)


def _begin(name: str, context: Context) -> tuple[_Call, Span, OtelContext]:
    metadata: Any = context.invocation_metadata() or ()
    sent = next((v for k, v in metadata if k == _REQUEST_ID and isinstance(v, str)), "")
    attributes = {tracing.RPC_SYSTEM: "grpc", tracing.RPC_METHOD: name}
    span, inside = tracing.begin(name, trace_context.carrier(metadata), attributes)
    metrics.RPC_ACTIVE.add(1)
    return _Call(name, sent[:_MAX_REQUEST_ID] or None), span, inside


async def _close(name: str, answers: AsyncIterator[Any]) -> None:
    if (close := getattr(answers, "aclose", None)) is not None:
        try:
            await close()
        except Exception:  # nobody waits for an answer any more
            log.exception("rpc failed", method=name)


def _remaining_ms(context: Context) -> int | None:
    seconds = cast("float | None", context.time_remaining())  # None: no deadline
    return None if seconds is None else round(seconds * 1000)


def _cause(error: Exception | None) -> str | None:
    cause = error.__cause__ if error is not None else None
    return f"{type(cause).__name__}: {redact(str(cause))}"[:_MAX_CAUSE] if cause else None


async def _abort(context: Context, error: errors.ServiceError) -> None:
    await context.abort(
        rendering.status_code(error),
        error.message,
        trailing_metadata=(
            (rendering.DETAILS_KEY, rendering.status_details(error)),
            *((_TRACE_ID, trace) for trace in (tracing.trace_id(),) if trace),
        ),
    )
