"""What stands around RPCs, streams too: places that are counted, and spans."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.shedding import SheddingCaller
from gateway.tracing import TracedCaller
from gateway.transcoding import CallFailedError, CallOptions, Reply, ReplyStream
from serving import tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from google.protobuf.message import Message

    from gateway.transcoding import Binding, Caller, Router


@dataclass
class FakeCaller:
    """Brings `messages`, and then fails if it has a `failure`."""

    messages: tuple[Message, ...] = ()
    failure: grpc.StatusCode | None = None
    options: CallOptions = field(default_factory=CallOptions)

    async def unary(self, _binding: Binding, _request: Message, options: CallOptions) -> Reply:
        """Return the first message."""
        self.options = options
        self._fail()
        return Reply(self.messages[0])

    @asynccontextmanager
    async def stream(
        self, _binding: Binding, _request: Message, options: CallOptions
    ) -> AsyncIterator[ReplyStream]:
        """Bring all messages."""
        self.options = options
        yield ReplyStream(self._all(), (("a", "b"),))

    async def _all(self) -> AsyncIterator[Message]:
        for message in self.messages:
            yield message
        self._fail()

    def _fail(self) -> None:
        if self.failure is not None:
            raise CallFailedError(self.failure)


@pytest.fixture
def binding(library_router: Router) -> Binding:
    """Return a binding."""
    return library_router.match("GET", "/v1/books/1").binding


@pytest.fixture
def inner(new: Callable[[str], Any]) -> FakeCaller:
    """Return a caller that brings two books."""
    return FakeCaller((new("Book"), new("Book")))


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Keep finished spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def take_all(call: Caller, binding: Binding) -> int:
    """Return how many messages a stream has."""
    count = 0
    async with call.stream(binding, binding.request_class(), CallOptions()) as replies:
        async for _ in replies.messages:
            count += 1
    return count


async def test_a_stream_holds_its_place_until_it_ends(binding: Binding, inner: FakeCaller) -> None:
    """An open stream counts as an RPC at work, and its place is free when it is left."""
    call = SheddingCaller(inner, 1, exempt=frozenset())
    request = binding.request_class()
    async with call.stream(binding, request, CallOptions()) as replies:
        assert replies.initial_metadata == (("a", "b"),)
        with pytest.raises(CallFailedError) as refused:
            await call.unary(binding, request, CallOptions())
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(CallFailedError):
            await take_all(call, binding)
    await call.unary(binding, request, CallOptions())
    inner.failure = grpc.StatusCode.INTERNAL
    for _ in range(2):
        with pytest.raises(CallFailedError) as refused:
            await take_all(call, binding)
        assert refused.value.code is grpc.StatusCode.INTERNAL
    inner.failure = None
    assert await take_all(call, binding) == 2


async def test_what_is_exempt_needs_no_place(binding: Binding, inner: FakeCaller) -> None:
    """Streams of exempt methods open whatever the number."""
    call = SheddingCaller(inner, 0, exempt=frozenset({binding.rpc.full_name}))
    assert await take_all(call, binding) == 2


async def test_a_stream_is_in_a_span(
    binding: Binding, inner: FakeCaller, spans: InMemorySpanExporter
) -> None:
    """A span is as long as its stream, goes along as metadata, and tells how it ended."""
    call = TracedCaller(inner)
    with tracing.server_span("served", {}):
        assert await take_all(call, binding) == 2
    span, _ = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes[tracing.RPC_STATUS] == "OK"
    assert format(span.context.span_id, "016x") in str(dict(inner.options.metadata)["traceparent"])


async def test_a_stream_that_fails_in_the_middle_fails_its_span(
    binding: Binding, inner: FakeCaller, spans: InMemorySpanExporter
) -> None:
    """A failure among the messages is the span's, as one before them is."""
    inner.failure = grpc.StatusCode.DATA_LOSS
    with tracing.server_span("served", {}), pytest.raises(CallFailedError):
        await take_all(TracedCaller(inner), binding)
    span, _ = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes[tracing.RPC_STATUS] == "DATA_LOSS"
    assert not span.status.is_ok


async def test_what_is_untraced_has_no_span(
    binding: Binding, inner: FakeCaller, spans: InMemorySpanExporter
) -> None:
    """Health checks, say, would drown all else."""
    call = TracedCaller(inner, frozenset({binding.rpc.full_name}))
    with tracing.server_span("served", {}):
        assert await take_all(call, binding) == 2
    assert [span.name for span in spans.get_finished_spans()] == ["served"]
