"""An operation on a store: a span in its request, a duration, and no word of what it was about."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest
from metering import Measured
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from redis.exceptions import ConnectionError as Unreachable, ResponseError, TimeoutError as Late
from span_tap import said, tapped

from serving import metrics, store_calls, tracing
from serving.redis.link import Link
from serving.stores import StoreUnavailable

SECRET = "lt:{ann}:q"
NO_CLIENT: Any = None


async def answer() -> str:
    """Do what an operation does."""
    await asyncio.sleep(0)
    return "answer"


async def fail(error: Exception) -> NoReturn:
    """Do not."""
    await asyncio.sleep(0)
    raise error


async def hang() -> None:
    """Do nothing, for ever."""
    await asyncio.Event().wait()


def link(timeout_ms: int = 20_000) -> Link:
    """Return a link that is asked for nothing."""
    return Link(NO_CLIENT, timeout_ms=timeout_ms, calls=2)


async def test_an_operation_is_a_span_in_its_request() -> None:
    """It is a client's, by the conventions for databases, and says what, not of whom."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        with tracing.server_span("served", {}):
            assert await link().within(answer(), "reserve") == "answer"
        called, served = tap.spans
    assert (called.name, called.kind) == ("reserve", SpanKind.CLIENT)
    assert called.parent is not None
    assert called.parent.span_id == served.context.span_id
    assert dict(said(called)) == {tracing.DB_SYSTEM: "redis", tracing.DB_OPERATION: "reserve"}
    assert measured.grown(metrics.STORE_DURATION) == {
        frozenset({("db.system.name", "redis"), ("db.operation.name", "reserve")}): 1
    }


@pytest.mark.parametrize(
    "error, kind",
    [
        (Unreachable(SECRET), "ConnectionError"),
        (Late(SECRET), "timeout"),
        (TimeoutError(SECRET), "timeout"),
        (ResponseError(f"OOM {SECRET}"), "ResponseError"),
        (StoreUnavailable(SECRET), "StoreUnavailable"),
    ],
)
@pytest.mark.parametrize("sampled", [True, False])
async def test_a_failure_is_told_by_its_kind(
    error: Exception,
    kind: str,
    sampled: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """Sampled or not, the call that failed is there; its words are not."""
    measured = Measured()
    with tapped(**({"sampler": ALWAYS_ON} if sampled else {})) as tap:  # type: ignore[arg-type]
        with tracing.server_span("served", {}), pytest.raises(StoreUnavailable):
            await link().within(fail(error), "commit")
        called = tap.named("commit")
    assert said(called)[tracing.ERROR_TYPE] == kind
    assert called.status.status_code is StatusCode.ERROR
    assert called.events == ()
    assert SECRET not in called.to_json()
    assert measured.more(metrics.STORE_DURATION, operation="commit", error=kind) == 1


async def test_a_store_that_hangs_is_a_timeout() -> None:
    """What takes longer than it may is told as such."""
    with tapped() as tap:
        with tracing.server_span("served", {}), pytest.raises(StoreUnavailable):
            await link(timeout_ms=1).within(hang(), "usage")
        assert said(tap.named("usage"))[tracing.ERROR_TYPE] == "timeout"


async def test_a_caller_that_leaves_is_no_failure_of_the_store() -> None:
    """It is measured as cancelled, and its span says nothing of an error."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:

        async def serve() -> None:
            with tracing.server_span("served", {}):
                await link().within(hang(), "read")

        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tracing.ERROR_TYPE not in said(tap.named("read"))
    assert measured.more(metrics.STORE_DURATION, operation="read", error="cancelled") == 1


async def test_a_probe_is_measured_and_makes_no_trace() -> None:
    """What a watcher asks of a store is in no span, failed or not."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        await link().within(answer(), "check")
        with pytest.raises(StoreUnavailable):
            await link().within(fail(OSError()), "check")
        assert tap.spans == []
    assert measured.more(metrics.STORE_DURATION, operation="check") == 2


async def test_a_part_of_an_operation_is_none() -> None:
    """Without a name, work is neither traced nor measured by itself."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        with tracing.server_span("served", {}), store_calls.called(store_calls.REDIS, "stats"):
            await link().within(answer())
            await link().within(answer())
        assert tap.names == ["stats", "served"]
    assert sum(measured.grown(metrics.STORE_DURATION).values()) == 1
