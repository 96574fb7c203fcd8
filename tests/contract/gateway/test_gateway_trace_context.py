"""Traces at the edge: what of a stranger's headers counts, and which requests are kept."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind
from raw_http import exchange, request
from span_tap import said, tapped

from gateway.settings import GatewaySettings
from serving import errors, sampling, tracing
from serving.otel_variables import Variables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from span_tap import Tap

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"traceparent: 00-{TRACE}-{SPAN}-01"
GOOD = "Authorization: Bearer good"
MINT = "/api/v1/live-token"
SERVED, CALLED = f"POST {MINT}", "tokenservice.v1.TokenService/CreateToken"


async def carried(gateway: Any, *lines: str | bytes) -> tuple[str, str, str]:
    """Ask for a token; return the trace id, the flags and the state that tokenservice gets."""
    answer = await exchange(gateway.port, request(GOOD, "Content-Length: 0", *lines))
    assert answer is not None
    assert answer.status == 200
    sent = gateway.service.metadata
    version, trace, _, flags = sent["traceparent"].split("-")
    assert version == "00"
    assert answer.headers["x-trace-id"] == trace
    assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-[0-9a-f]{{2}}", answer.headers["traceresponse"])
    return trace, flags, sent.get("tracestate", "")


@pytest.mark.parametrize(
    "lines, state",
    [
        ([PARENT], ""),
        ([f"TraceParent: 00-{TRACE}-{SPAN}-01"], ""),
        ([f"traceparent: \t 00-{TRACE}-{SPAN}-01 \t"], ""),
        ([f"traceparent: cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"], ""),
        ([PARENT, "tracestate: a=1,b=2"], "a=1,b=2"),
        ([PARENT, "tracestate: a=1", "TraceState: b=2", "tracestate:", "tracestate: ,c=3"], None),
        ([PARENT, "tracestate: a=1,A=2,b=2"], "a=1,b=2"),
        ([PARENT, "tracestate: a=é,b=2".encode()], "b=2"),
        ([PARENT, b"tracestate: a=\xff,b=2"], "b=2"),
        ([PARENT, "tracestate: " + ",".join(f"k{n}=1" for n in range(33))], ""),
        ([PARENT, f"tracestate: a={'v' * 200},b={'v' * 120},c={'v' * 200}"], f"b={'v' * 120}"),
        ([PARENT, "baggage: user=ann"], ""),
    ],
)
async def test_a_callers_trace_goes_on(
    gateway: Any, lines: list[str | bytes], state: str | None
) -> None:
    """As the recommendation has it, over HTTP, into the metadata of the RPC."""
    trace, _, went = await carried(gateway, *lines)
    assert trace == TRACE
    assert went == ("a=1,b=2,c=3" if state is None else state)
    assert "baggage" not in gateway.service.metadata


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["traceparent:"],
        ["traceparent: nonsense"],
        [PARENT, PARENT],
        [PARENT, "traceparent:"],
        [PARENT, f"TRACEPARENT: 00-{'a' * 32}-{SPAN}-01"],
        [f"{PARENT},{PARENT.partition(' ')[2]}"],
        [f"traceparent: ff-{TRACE}-{SPAN}-01"],
        [f"traceparent: 00-{TRACE.upper()}-{SPAN}-01"],
        [f"traceparent: 00-{'0' * 32}-{SPAN}-01"],
        [f"traceparent: 00-{TRACE}-{'0' * 16}-01"],
        [f"traceparent: 00-{TRACE}-{SPAN}-01-more"],
        [f"traceparent: cc-{TRACE}-{SPAN}-01-{'x' * 2000}"],
        [f"traceparent: 00-{TRACE}-{SPAN}-é1".encode()],
        ["trace-parent: 00-x", "tracestate: a=1"],
    ],
)
async def test_anything_else_begins_a_trace(gateway: Any, lines: list[str | bytes]) -> None:
    """A restarted trace takes no `tracestate` along."""
    trace, _, state = await carried(gateway, *lines, "tracestate: a=1")
    assert trace != TRACE
    assert re.fullmatch("(?!0{32})[0-9a-f]{32}", trace)
    assert state == ""


@asynccontextmanager
async def traced(gateway: Any, ratio: str = "0", **settings: Any) -> AsyncIterator[Tap]:
    """Trace by a ratio, as the gateway's process does with its settings."""
    chosen = GatewaySettings(**settings)
    variables = {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": ratio,
    }
    sampler = sampling.sampler(Variables(variables), heeds_callers=chosen.heeds_sampling)
    with tapped(sampler) as tap:
        yield tap
    gateway.service.reset()


async def test_a_stranger_cannot_have_a_request_traced(gateway: Any) -> None:
    """The sampled flag counts by GATEWAY_HEED_SAMPLING alone; the trace goes on either way."""
    async with traced(gateway) as tap:
        assert (await carried(gateway, PARENT))[:2] == (TRACE, "00")
        assert tap.spans == []
    async with traced(gateway, heed_sampling=True) as tap:
        assert (await carried(gateway, PARENT))[:2] == (TRACE, "01")
        # In this process, tokenservice's span is here as well.
        assert sorted(tap.names) == [SERVED, CALLED, CALLED]


async def test_nor_can_a_stranger_keep_it_from_being_traced(gateway: Any) -> None:
    """An unsampled parent hides nothing, but where callers are heeded."""
    unsampled = PARENT[:-1] + "0"
    async with traced(gateway, "1") as tap:
        assert (await carried(gateway, unsampled))[:2] == (TRACE, "01")
        assert SERVED in tap.names
    async with traced(gateway, "1", heed_sampling=True) as tap:
        assert (await carried(gateway, unsampled))[:2] == (TRACE, "00")
        assert tap.spans == []


REFUSALS: dict[str, tuple[int, errors.ServiceError]] = {
    "401": (401, errors.Unauthenticated()),
    "403": (403, errors.PermissionDenied()),
    "400": (400, errors.InvalidArgument("model", "must be one")),
    "503": (503, errors.Unavailable()),
    "500": (500, errors.Internal()),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_refused_or_fails_is_kept_as_a_tree(gateway: Any, name: str) -> None:
    """Of an unsampled request: the gateway's span, in it the RPC's both ends."""
    status, gateway.service.failure = REFUSALS[name]
    async with traced(gateway) as tap:
        answer = await exchange(gateway.port, request(GOOD, PARENT, "Content-Length: 0"))
        assert answer is not None
        assert answer.status == status
        assert answer.body["traceId"] == answer.headers["x-trace-id"] == TRACE
        spans = {(span.name, span.kind): span for span in tap.spans}
        problem = await exchange(
            gateway.port,
            request(GOOD, PARENT, "Content-Length: 0", "Accept: application/problem+json"),
        )
    assert problem is not None
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.body["traceId"] == TRACE
    assert len(spans) == 3
    top = spans[SERVED, SpanKind.SERVER]
    assert top.parent is not None
    assert format(top.parent.span_id, "016x") == SPAN
    for kind in (SpanKind.CLIENT, SpanKind.SERVER):
        below = spans[CALLED, kind]
        assert below.parent is not None
        assert below.parent.span_id == top.context.span_id
    assert all(said(span)[tracing.KEPT] for span in tap.spans)
    assert (tracing.ERROR_TYPE in said(top)) == (status >= 500)


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/wp-login.php", 404),
        ("POST", f"{MINT}s", 404),
        ("DELETE", "/", 404),
    ],
)
async def test_what_is_nowhere_is_not_kept(
    gateway: Any, method: str, path: str, status: int
) -> None:
    """Strangers who try doors all day do not take the place of what matters."""
    async with traced(gateway) as tap:
        answer = await exchange(gateway.port, request(PARENT, method=method, path=path))
        assert answer is not None
        assert answer.status == status
        assert answer.headers["x-trace-id"] == TRACE
        assert tap.spans == []


async def test_a_slow_request_is_kept_with_what_was_slow(gateway: Any) -> None:
    """Whoever took too long, and all who waited for it, are there."""
    held = gateway.service.held = asyncio.Event()
    async with traced(gateway) as tap:
        asking = asyncio.create_task(
            exchange(gateway.port, request(GOOD, PARENT, "Content-Length: 0"))
        )
        await asyncio.wait_for(gateway.service.entered.wait(), 20)
        tap.clock.advance(1.0)
        held.set()
        answer = await asking
        assert answer is not None
        assert answer.status == 200
        assert sorted(tap.names) == [SERVED, CALLED, CALLED]
        lasted = {(span.end_time or 0) - (span.start_time or 0) for span in tap.spans}
    assert lasted == {10**9}


async def test_a_caller_that_leaves_is_kept(gateway: Any) -> None:
    """499 stands on the span of who did not wait for an answer."""
    gateway.service.held = asyncio.Event()
    async with traced(gateway) as tap:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request(GOOD, PARENT, "Content-Length: 0"))
        await asyncio.wait_for(gateway.service.entered.wait(), 20)
        writer.close()
        await asyncio.wait_for(gateway.service.cancelled.wait(), 20)
        async with asyncio.timeout(20):
            while SERVED not in tap.names:  # noqa: ASYNC110 - a list tells nobody
                await asyncio.sleep(0)
        assert said(tap.named(SERVED))[tracing.HTTP_STATUS] == 499
