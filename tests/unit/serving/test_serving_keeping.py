"""What is kept of requests that the head did not sample, and what it costs the others: nothing."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from span_tap import said, tapped

from serving import metrics, tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

TRACE, CALLER = "a" * 32, "b" * 16
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-00", "tracestate": "x=1,y=2"}


def flags_of(carrier: dict[str, str]) -> str:
    """Return the flags that a caller is sent on with."""
    return carrier["traceparent"][-2:]


def test_what_goes_well_leaves_nothing() -> None:
    """Neither the request nor what it calls is exported; its context goes on unsampled."""
    with tapped() as tap:
        carried: dict[str, str] = {}
        with tracing.server_span("served", PARENT), tracing.client_span("called", carried):
            assert tracing.trace_id() == TRACE
        assert tap.spans == []
    assert carried["traceparent"].startswith(f"00-{TRACE}-")
    assert flags_of(carried) == "00"
    assert carried["tracestate"] == "x=1,y=2"


@pytest.mark.parametrize("how", ["wanted", "failed", "slow"])
def test_what_is_worth_it_is_kept(how: str) -> None:
    """A refused, failed or slow request is exported as if it had been sampled."""
    with tapped(slow_ms=50) as tap:
        with tracing.server_span("served", PARENT, {tracing.RPC_SYSTEM: "grpc"}) as span:
            span.set_attribute(tracing.RPC_STATUS, "X")
            if how == "wanted":
                tracing.want(span)
            elif how == "failed":
                tracing.fail(span, "X")
            else:
                tap.clock.advance(0.05)
            seen = span.get_span_context()
        (kept,) = tap.spans
    assert kept.name == "served"
    assert kept.kind is SpanKind.SERVER
    assert kept.context.span_id == seen.span_id
    assert format(kept.context.trace_id, "032x") == TRACE
    assert kept.context.trace_flags.sampled
    assert kept.context.trace_state.to_header() == "x=1,y=2"
    assert kept.parent is not None
    assert format(kept.parent.span_id, "016x") == CALLER
    failed = {tracing.ERROR_TYPE: "X"} if how == "failed" else {}
    assert said(kept) == {
        tracing.RPC_SYSTEM: "grpc",
        tracing.RPC_STATUS: "X",
        tracing.KEPT: True,
        **failed,
    }
    assert (kept.status.status_code is StatusCode.ERROR) == (how == "failed")
    assert (kept.end_time or 0) - (kept.start_time or 0) == (50_000_000 if how == "slow" else 0)


def test_nearly_slow_is_not_slow() -> None:
    """The threshold is where slow begins, to the nanosecond."""
    with tapped(slow_ms=50) as tap:
        with tracing.server_span("served", PARENT):
            tap.clock.advance(0.0499)
        assert tap.spans == []


def test_what_lasts_as_long_as_its_caller_likes_is_not_slow() -> None:
    """A stream is kept if it fails, however long it was."""
    with tapped(slow_ms=50) as tap:
        for fails in (False, True):
            with (
                tracing.server_span("served", PARENT) as span,
                tracing.client_span("c", {}) as call,
            ):
                tracing.wait_for(span)
                tracing.wait_for(call)
                tap.clock.advance(300)
                if fails:
                    tracing.fail(span, "X")
        assert tap.names == ["served"]


def test_a_call_that_fails_is_a_child_of_its_request() -> None:
    """Kept calls hang below the span whose context went along, each under an id of its own."""
    with tapped() as tap:
        with tracing.server_span("served", PARENT) as span:
            for number in range(3):
                with tracing.client_span(f"called {number}", {}, {tracing.DB_SYSTEM: "x"}) as call:
                    if number:
                        tracing.fail(call, "timeout")
            tracing.want(span)
        one, two, served = tap.spans
    assert [one.name, two.name, served.name] == ["called 1", "called 2", "served"]
    assert {one.kind, two.kind} == {SpanKind.CLIENT}
    assert len({each.context.span_id for each in (one, two, served)}) == 3
    assert one.parent is not None
    assert two.parent is not None
    assert one.parent.span_id == two.parent.span_id == served.context.span_id
    assert said(one) == {tracing.DB_SYSTEM: "x", tracing.ERROR_TYPE: "timeout", tracing.KEPT: True}


def test_a_request_that_ends_in_an_exception_ends() -> None:
    """Whatever is raised goes through, and the context is as it was."""

    def serve() -> None:
        with tracing.server_span("served", PARENT) as span:
            tracing.fail(span, "X")
            raise ZeroDivisionError

    with tapped() as tap:
        with pytest.raises(ZeroDivisionError):
            serve()
        assert tap.names == ["served"]
        assert not trace.get_current_span().get_span_context().is_valid


async def test_a_request_that_is_cancelled_ends() -> None:
    """Cancelled in the middle of a call, both spans end; neither is kept for that alone."""
    with tapped() as tap:
        begun = asyncio.Event()

        async def serve() -> None:
            with tracing.server_span("served", PARENT), tracing.client_span("called", {}):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tap.spans == []


async def test_requests_at_once_have_their_own_spans() -> None:
    """What one task says is on its own span, also in tasks that it began."""
    with tapped() as tap:

        async def call(name: str) -> None:
            with tracing.client_span(name, {}) as span:
                await asyncio.sleep(0)
                tracing.fail(span, "X")

        async def serve(name: str) -> None:
            with tracing.server_span(name, {}) as span:
                await asyncio.gather(call(f"{name}.1"), call(f"{name}.2"))
                tracing.want(span)

        await asyncio.gather(*(serve(f"r{number}") for number in range(5)))
        served = {span.name: span.context for span in tap.spans if "." not in span.name}
        called = [span for span in tap.spans if "." in span.name]
    assert len(called) == 10
    for span in called:
        assert span.parent is not None
        above = served[span.name.partition(".")[0]]
        assert (span.parent.trace_id, span.parent.span_id) == (above.trace_id, above.span_id)


def test_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of as many as in a second, then that rate; what is beyond is counted."""
    unkept: list[float] = []
    monkeypatch.setattr(metrics.SPANS_UNKEPT, "add", lambda amount=1: unkept.append(amount))

    def refuse(times: int) -> None:
        for _ in range(times):
            with tracing.server_span("served", {}) as span:
                tracing.want(span)

    with tapped(per_second=3) as tap:
        refuse(5)
        assert (len(tap.spans), sum(unkept)) == (3, 2)
        tap.clock.advance(1 / 3 + 0.001)
        refuse(2)
        assert (len(tap.spans), sum(unkept)) == (4, 3)
        tap.clock.advance(3600)
        refuse(5)
        assert (len(tap.spans), sum(unkept)) == (7, 5)
    with tapped(per_second=0) as tap:
        refuse(1)
        assert (tap.spans, sum(unkept)) == ([], 6)


def test_what_was_sampled_is_exported_once() -> None:
    """A span of a sampled request is not kept a second time, whatever became of it."""
    with tapped(ALWAYS_ON, slow_ms=1) as tap:
        with tracing.server_span("served", PARENT) as span:
            tracing.want(span)
            tracing.fail(span, "X")
        (only,) = tap.spans
    assert tracing.KEPT not in said(only)


def exemplar(span: Span) -> str:
    """Return which span a duration leads to; empty: none but the current one."""
    context = tracing.exemplar_of(span)
    if context is None:
        return ""
    seen = trace.get_current_span(context).get_span_context()
    assert seen.trace_flags.sampled
    return format(seen.span_id, "016x")


def test_a_duration_leads_to_its_span_if_that_is_kept() -> None:
    """No exemplar names a span that was not exported: it is decided once, for both."""
    with tapped(per_second=1) as tap:
        leads = []
        for wanted in (False, True, True):
            with tracing.server_span("served", {}) as span:
                if wanted:
                    tracing.want(span)
                leads.append(exemplar(span))
                tap.clock.advance(0 if wanted else 5)  # too late to count as slow
        (kept,) = tap.spans
    assert leads == ["", format(kept.context.span_id, "016x"), ""]


def test_a_clock_that_is_set_back_makes_no_span_end_before_it_began() -> None:
    """Of two times of the wall's clock, the later is the end."""
    with tapped() as tap:
        with tracing.server_span("served", {}) as span:
            tracing.want(span)
            tap.clock.wall_ns -= 60 * 10**9
        (kept,) = tap.spans
    assert kept.start_time == kept.end_time


def test_what_a_process_does_by_itself_is_in_no_trace() -> None:
    """A call outside of every request has no span, sampled or not, and takes no context along."""
    for sampler in (ALWAYS_OFF, ALWAYS_ON):
        with tapped(sampler) as tap:
            carried: dict[str, str] = {}
            with tracing.client_span("probe", carried) as span:
                tracing.fail(span, "X")
            assert (tap.spans, carried) == ([], {})


def test_without_telemetry_a_trace_goes_on_all_the_same() -> None:
    """Ids are there for logs and answers; what is begun here says that its id is random."""
    with tracing.server_span("served", PARENT):
        assert tracing.trace_id() == TRACE
        assert tracing.traceresponse().startswith(f"00-{TRACE}-")
    with tracing.server_span("served", {}):
        carried: dict[str, str] = {}
        with tracing.client_span("called", carried):
            assert flags_of(carried) == "02"


def test_nothing_is_left_of_a_request() -> None:
    """Notes end with their request: nothing holds on to them."""
    with tapped():
        with tracing.server_span("served", {}), tracing.client_span("called", {}):
            pass
        gc.collect()
        assert not [each for each in gc.get_objects() if type(each).__name__ == "Notes"]
