"""Spans by hand, for the hot path: no work beyond propagation when unsampled.

OpenTelemetry's auto-instrumentors cost 1.4 to 1.9 times the whole request even
when nothing is sampled. These follow the semantic conventions for RPC, HTTP,
databases and generative AI; docs/tracing.md describes each attribute below, and
no other is exported.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context, trace
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serving.keeping import Notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from serving.keeping import Keeper

# By the conventions.
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESENDS: Final = "http.request.resend_count"
SERVER_ADDRESS: Final = "server.address"
URL_SCHEME: Final = "url.scheme"
PROTOCOL_VERSION: Final = "network.protocol.version"
DB_SYSTEM: Final = "db.system.name"
DB_OPERATION: Final = "db.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_MODEL: Final = "gen_ai.request.model"
USER_HASH: Final = "user.hash"

# Our own.
ACTING: Final = "live_token.acting"
DECISION: Final = "live_token.decision"
DECISION_ID: Final = "live_token.decision_id"
DEGRADED: Final = "live_token.degraded"
KEPT: Final = "live_token.kept"
LIMIT: Final = "live_token.limit"
REASON: Final = "live_token.reason"
RULE: Final = "live_token.rule"
TIER: Final = "live_token.tier"

# Not baggage, which the SDK's own would take along: callers could have us carry theirs on to
# policy and to Google.
_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("live-token")
_keeper: Keeper | None = None
_heeds_callers = True


def heed_callers(*, heeds: bool) -> None:
    """Say whether a caller's decision to sample goes on where nothing is exported here."""
    global _heeds_callers  # noqa: PLW0603 - likewise
    _heeds_callers = heeds


def keep_with(keeper: Keeper | None) -> None:
    """Have requests that are not sampled judged at their end. None: have them forgotten."""
    global _keeper  # noqa: PLW0603 - as a process has one provider, it has one keeper
    _keeper = keeper


def begin(
    name: str,
    carrier: Mapping[str, str],
    attributes: Mapping[str, AttributeValue] | None = None,
) -> tuple[Span, Context]:
    """Begin to serve: return a span that continues the caller's trace, if it sent one.

    `carrier` is what serving.trace_context took of the request. There is always
    a trace id, for answers and logs, also where no span is exported. What serves
    runs `within` the context; whoever began it calls `end`.
    """
    parent = _propagator.extract(carrier)
    span = _tracer.start_span(name, parent, SpanKind.SERVER, attributes)
    if not span.is_recording():
        span = _unsampled(span, parent, name, attributes)
    return span, trace.set_span_in_context(span, parent)


def of_caller(carrier: Mapping[str, str]) -> Context:
    """Return the caller's own context, for what is served without a span."""
    return _propagator.extract(carrier)


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Run the block in a span's context. The block must not yield to another task's code."""
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def end(span: Span) -> None:
    """End a span that `begin` returned."""
    if isinstance(span, Notes):
        span.close()
    else:
        span.end()


@contextmanager
def server_span(
    name: str,
    carrier: Mapping[str, str],
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """Serve inside a span: see `begin`."""
    span, context = begin(name, carrier, attributes)
    token = otel_context.attach(context)
    try:
        yield span
    finally:
        otel_context.detach(token)
        end(span)


@contextmanager
def client_span(
    name: str,
    carrier: MutableMapping[str, str] | None,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """Call inside a span, whose context is put into `carrier`, if it can take one along.

    Below a request that is not sampled, that is the request's own: what is called
    may be kept where this call is not, and is then a child of what called. Outside
    of all requests there is none: probes and watchers make no traces.
    """
    current = trace.get_current_span()
    if not current.get_span_context().is_valid:
        yield INVALID_SPAN
        return
    if isinstance(current, Notes):
        if carrier is not None:
            _propagator.inject(carrier)
        notes = current.child(name, attributes)
        try:
            yield notes
        finally:
            notes.close()
        return
    with _tracer.start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,  # messages of foreign exceptions may hold secrets
        set_status_on_exception=False,
    ) as span:
        if carrier is not None:
            _propagator.inject(carrier)
        yield span


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed by what kind of failure it was, never by a message."""
    if span.is_recording():
        span.set_attribute(ERROR_TYPE, kind)
        span.set_status(Status(StatusCode.ERROR))


def want(span: Span) -> None:
    """Have a span kept whose request was refused, though it is not sampled."""
    if isinstance(span, Notes):
        span.wanted = True


def wait_for(span: Span) -> None:
    """Have a span not taken for slow: what it is of lasts as long as its caller likes."""
    if isinstance(span, Notes):
        span.patient = True


def exemplar_of(span: Span) -> Context | None:
    """Return in which context a duration is measured, so that it leads to its span.

    None: in the current one. To be asked at the end: whether the span of a request
    that is not sampled is kept, is decided by it.
    """
    if not isinstance(span, Notes) or not span.settle():
        return None
    return trace.set_span_in_context(NonRecordingSpan(span.exported_context))


def traceresponse() -> str:
    """Return what tells a caller of the current span (W3C Trace Context, level 2, 4)."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id() -> str:
    """Return the current trace's id, 32 hex digits; empty outside of all traces."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


def _unsampled(
    span: Span,
    parent: Context,
    name: str,
    attributes: Mapping[str, AttributeValue] | None,
) -> Span:
    context = span.get_span_context()
    if _keeper is None:  # nothing is exported: pass on what came, or begin
        return NonRecordingSpan(_passed_on(context) if context.is_valid else _new_context())
    above = trace.get_current_span(parent).get_span_context()
    return Notes(
        _keeper,
        name,
        kind=SpanKind.SERVER,
        context=context,
        parent=above if above.is_valid else None,
        attributes=attributes,
    )


def _passed_on(context: SpanContext) -> SpanContext:
    if _heeds_callers or not context.trace_flags.sampled:
        return context
    flags = TraceFlags(context.trace_flags & ~TraceFlags.SAMPLED)
    return SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=context.is_remote,
        trace_flags=flags,
        trace_state=context.trace_state,
    )


def _new_context() -> SpanContext:
    return SpanContext(
        random.getrandbits(128) or 1,
        random.getrandbits(64) or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.RANDOM_TRACE_ID),
    )
