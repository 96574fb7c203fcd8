"""A call of ours: its span, its context, and its duration, whichever way it ends."""

from __future__ import annotations

import asyncio

import pytest
from metering import Measured
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from span_tap import said, tapped

from serving import metrics, rpc_client, tracing

METHOD = "test.Service/Do"


def test_a_call_is_a_span_whose_context_goes_along() -> None:
    """It says what was called and how it ended, and the other side hangs below it."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        with tracing.server_span("served", {}), rpc_client.called(METHOD) as call:
            sent = dict(call.metadata)
        called = tap.named(METHOD)
    assert called.kind is SpanKind.CLIENT
    assert format(called.context.span_id, "016x") in sent["traceparent"]
    assert dict(said(called)) == {
        tracing.RPC_SYSTEM: "grpc",
        tracing.RPC_METHOD: METHOD,
        tracing.RPC_STATUS: "OK",
    }
    assert measured.more(metrics.RPC_CLIENT_DURATION, method=METHOD, code="OK", error=None) == 1


@pytest.mark.parametrize("sampled", [True, False])
def test_a_call_that_fails_is_told(
    sampled: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """Every status but OK is a failure to who called, sampled or not."""
    measured = Measured()
    with tapped(**({"sampler": ALWAYS_ON} if sampled else {})) as tap:  # type: ignore[arg-type]
        with tracing.server_span("served", {}), rpc_client.called(METHOD) as call:
            call.failed("RESOURCE_EXHAUSTED")
        called = tap.named(METHOD)
    assert said(called)[tracing.RPC_STATUS] == "RESOURCE_EXHAUSTED"
    assert said(called)[tracing.ERROR_TYPE] == "RESOURCE_EXHAUSTED"
    assert called.status.status_code is StatusCode.ERROR
    assert measured.more(metrics.RPC_CLIENT_DURATION, error="RESOURCE_EXHAUSTED") == 1


@pytest.mark.parametrize("streams", [True, False])
async def test_a_call_that_is_left_is_cancelled(
    streams: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """To who wanted an answer that is a failure; a stream ends so."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:

        async def serve() -> None:
            with tracing.server_span("served", {}), rpc_client.called(METHOD, streams=streams):
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        called = tap.named(METHOD)
    assert said(called)[tracing.RPC_STATUS] == "CANCELLED"
    assert (tracing.ERROR_TYPE in said(called)) == (not streams)
    error = None if streams else "CANCELLED"
    assert measured.more(metrics.RPC_CLIENT_DURATION, code="CANCELLED", error=error) == 1


def test_outside_of_a_request_there_is_no_trace() -> None:
    """What a process asks by itself is measured, and takes no context along."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        with rpc_client.called(METHOD) as call:
            assert call.metadata == ()
        assert tap.spans == []
    assert measured.more(metrics.RPC_CLIENT_DURATION, method=METHOD) == 1
