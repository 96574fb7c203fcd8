"""The span of an RPC, on a real server: whichever way it ends, and streams that nobody reads on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import structlog
from google.protobuf import struct_pb2
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import StatusCode
from span_tap import said, tapped

from serving import errors, tracing, unserved
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DO, WATCH, QUIET = "test.Service/Do", "test.Service/Watch", "test.Service/Quiet"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-00")

log = structlog.get_logger(__name__)


class Service:
    """Ends as the request says, and remembers in which traces it was."""

    def __init__(self) -> None:
        self.traces: list[str] = []
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def do(self, request: Any, context: Any) -> Any:
        """Answer, refuse, break, or never do any of it."""
        self.traces.append(tracing.trace_id())
        match request.string_value:
            case "refuse":
                raise errors.PermissionDenied
            case "break":
                raise ZeroDivisionError
            case "abort":
                await context.abort(grpc.StatusCode.NOT_FOUND, "not here")
            case "hang":
                self.begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.ended.set()
        return request

    async def watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Answer three times, and then end as the request says; `flood` never ends."""
        try:
            count = 0
            while count < 3 or request.string_value == "flood":
                self.traces.append(tracing.trace_id())
                yield request
                count += 1
                self.begun.set()
            await self.do(request, context)
        finally:
            self.traces.append(tracing.trace_id())
            self.ended.set()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve its methods."""
        coding: dict[str, Any] = {
            "request_deserializer": struct_pb2.Value.FromString,
            "response_serializer": struct_pb2.Value.SerializeToString,
        }
        handlers = {
            "Do": grpc.unary_unary_rpc_method_handler(self.do, **coding),
            "Quiet": grpc.unary_unary_rpc_method_handler(self.do, **coding),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, **coding),
        }
        generic = grpc.method_handlers_generic_handler("test.Service", handlers)
        server.add_generic_rpc_handlers((generic,))


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[tuple[Service, grpc.aio.Channel]]:
    """Serve on a socket; yield the service and a channel to it."""
    service, address = Service(), f"unix:{path}/s"
    async with (
        open_channel(address) as channel,
        grpc_server(
            [address],
            service.add_to,
            health=HealthBoard(["test.Service"]),
            services=["test.Service"],
            interceptors=[RequestInterceptor(frozenset({f"/{QUIET}"}))],
            grace=0,
        ),
    ):
        yield service, channel


def call(channel: grpc.aio.Channel, method: str, how: str, *metadata: tuple[str, str]) -> Any:
    """Make a call that shall end in some way."""
    make: Any = channel.unary_stream if method == WATCH else channel.unary_unary
    value = struct_pb2.Value(string_value=how).SerializeToString()
    return make(f"/{method}")(value, metadata=metadata or (PARENT,), timeout=30)


async def done(answer: Any) -> str:
    """Wait for its end; return the code."""
    try:
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize("method", [DO, WATCH])
@pytest.mark.parametrize(
    "how, code, reason, fault, kept",
    [
        ("well", "OK", None, False, False),
        ("refuse", "PERMISSION_DENIED", "PERMISSION_DENIED", False, True),
        ("break", "INTERNAL", "INTERNAL", True, True),
    ],
)
async def test_a_span_tells_how_its_call_ended(  # noqa: PLR0917
    tmp_path: Path,
    method: str,
    how: str,
    code: str,
    reason: str | None,
    fault: bool,  # noqa: FBT001 - parameters of pytest's
    kept: bool,  # noqa: FBT001
) -> None:
    """Sampled, all are told; unsampled, those that were refused or failed, and alike."""
    expected: dict[str, Any] = {
        tracing.RPC_SYSTEM: "grpc",
        tracing.RPC_METHOD: method,
        tracing.RPC_STATUS: code,
    }
    if reason:
        expected[tracing.REASON] = reason
    if fault:
        expected[tracing.ERROR_TYPE] = code
    for sampler in ({"sampler": ALWAYS_ON}, {}):
        with tapped(**sampler) as tap:  # type: ignore[arg-type]
            async with serving(tmp_path) as (service, channel):
                assert await done(call(channel, method, how)) == code
            assert set(service.traces) == {TRACE}
            if not sampler and not kept:
                assert tap.spans == []
                continue
            (span,) = tap.spans
        late = {} if sampler else {tracing.KEPT: True}
        assert dict(said(span)) == expected | late
        assert span.name == method
        assert (span.status.status_code is StatusCode.ERROR) == fault
        assert span.parent is not None
        assert format(span.parent.span_id, "016x") == SPAN


async def test_an_error_names_its_trace(tmp_path: Path) -> None:
    """Who calls over gRPC finds the trace id in the trailers of what went wrong."""
    async with serving(tmp_path) as (_, channel):
        for method in (DO, WATCH):
            answer = call(channel, method, "refuse")
            assert await done(answer) == "PERMISSION_DENIED"
            assert dict(await answer.trailing_metadata())["x-trace-id"] == TRACE
        answer = call(channel, QUIET, "refuse")
        assert await done(answer) == "PERMISSION_DENIED"
        assert "x-trace-id" not in dict(await answer.trailing_metadata())


async def test_a_call_that_its_caller_leaves_has_an_ended_span(tmp_path: Path) -> None:
    """It is CANCELLED, which is nobody's fault: sampled it is told, else it is not kept."""
    for sampler in (ALWAYS_ON, None):
        with tapped(**({"sampler": sampler} if sampler else {})) as tap:  # type: ignore[arg-type]
            async with serving(tmp_path) as (service, channel):
                answer = call(channel, DO, "hang")
                await asyncio.wait_for(service.begun.wait(), 20)
                answer.cancel()
                await asyncio.wait_for(service.ended.wait(), 20)
            told = [said(span)[tracing.RPC_STATUS] for span in tap.spans]
        assert told == (["CANCELLED"] if sampler else [])


async def test_a_stream_that_nobody_reads_on_ends_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its span ends, its handler is closed inside its trace, and no context is left behind."""
    with tapped(ALWAYS_ON) as tap:
        async with serving(tmp_path) as (service, channel):
            answer = call(channel, WATCH, "flood")
            await asyncio.wait_for(service.begun.wait(), 20)
            await answer.read()
            answer.cancel()
            await asyncio.wait_for(service.ended.wait(), 20)
            assert await done(call(channel, DO, "well")) == "OK"
        assert set(service.traces) == {TRACE}
        watched = tap.named(WATCH)
    assert said(watched)[tracing.RPC_STATUS] == "CANCELLED"
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


async def test_a_stream_is_never_slow(tmp_path: Path) -> None:
    """It lasts as long as its caller likes: that alone is no reason to keep its span."""
    with tapped() as tap:
        async with serving(tmp_path) as (service, channel):
            answer = call(channel, WATCH, "hang")
            await asyncio.wait_for(service.begun.wait(), 20)
            tap.clock.advance(60)
            answer.cancel()
            await asyncio.wait_for(service.ended.wait(), 20)
        assert tap.names == []


async def test_streams_at_once_do_not_mix_their_traces(tmp_path: Path) -> None:
    """What a handler says between two answers is in the trace of its own call."""
    parents = [f"{number:032x}" for number in range(1, 9)]
    with tapped(ALWAYS_ON) as tap:
        async with serving(tmp_path) as (service, channel):
            calls = [
                call(channel, WATCH, "well", ("traceparent", f"00-{trace}-{SPAN}-01"))
                for trace in parents
            ]
            await asyncio.gather(*map(done, calls))
        traces = [format(span.context.trace_id, "032x") for span in tap.spans]
    assert sorted(traces) == parents
    assert all(service.traces.count(trace) == 5 for trace in parents)


async def test_health_reflection_and_what_is_untraced_have_no_span(tmp_path: Path) -> None:
    """Being asked all day long makes no spans; a method that there is not makes none either."""
    with tapped(ALWAYS_ON) as tap:
        async with serving(tmp_path) as (service, channel):
            assert await done(call(channel, QUIET, "well")) == "OK"
            check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            await check(b"", timeout=30)
            assert await done(call(channel, "test.Service/Nothing", "well")) == "UNIMPLEMENTED"
        assert (tap.spans, service.traces) == ([], [""])


async def test_a_method_that_there_is_not_is_told_in_its_callers_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no span of ours, and its line can be found all the same."""
    traces: list[str] = []

    class Noting:
        def info(self, event: str, **_: Any) -> None:
            traces.append(f"{event} {tracing.trace_id()}")

    monkeypatch.setattr(unserved, "log", Noting())
    with tapped(ALWAYS_ON) as tap:
        async with serving(tmp_path) as (_, channel):
            assert await done(call(channel, "test.Service/Nothing", "well")) == "UNIMPLEMENTED"
        assert tap.spans == []
    assert traces == [f"rpc {TRACE}"]


async def test_a_callers_broken_context_restarts_its_trace(tmp_path: Path) -> None:
    """By gRPC's metadata as by HTTP: a parent that is none begins anew.

    Of several there is one here at most: gRPC itself leaves the last.
    """
    cases = [
        (("traceparent", f"00-{TRACE}-{'0' * 16}-01"),),
        (("traceparent", f"00-{TRACE.upper()}-{SPAN}-01"),),
        (("traceparent", "nonsense"), ("tracestate", "a=1")),
        (("traceparent", f"ff-{TRACE}-{SPAN}-01"),),
    ]
    async with serving(tmp_path) as (service, channel):
        for metadata in cases:
            assert await done(call(channel, DO, "well", *metadata)) == "OK"
        assert await done(call(channel, DO, "well", PARENT, ("tracestate", "a=1"))) == "OK"
    *restarted, continued = service.traces
    assert continued == TRACE
    assert len({TRACE, "", *restarted}) == len(cases) + 2
