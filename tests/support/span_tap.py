"""Spans in this process, where they end up: sampled ones, and those that are kept at their end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler

from serving import tracing
from serving.late_spans import LateSpans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass
class HeldClock:
    """A clock that stands until it is moved, and the wall's, which may be set back."""

    now_ns: int = 0
    wall_ns: int = 1_767_225_600 * 10**9

    def __call__(self) -> float:
        """Return the time in seconds, of a clock that goes forward only."""
        return self.now_ns / 1e9

    def wall(self) -> int:
        """Return the wall's time, in nanoseconds."""
        return self.wall_ns

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.now_ns += round(seconds * 1e9)
        self.wall_ns += round(seconds * 1e9)


@dataclass
class Tap:
    """What was exported."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    clock: HeldClock = field(default_factory=HeldClock)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans, as they ended."""
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [span.name for span in self.spans]

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = (span for span in self.spans if span.name == name)
        return span


def said(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes of a span."""
    return span.attributes or {}


@contextmanager
def tapped(
    sampler: Sampler = ALWAYS_OFF, *, slow_ms: int = 1000, per_second: int = 20
) -> Iterator[Tap]:
    """Trace as `sampler` says, and keep what turns out to be worth it, by a clock of the test's."""
    tap = Tap()
    processor = SimpleSpanProcessor(tap.exporter)
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer, tracing._tracer = tracing._tracer, provider.get_tracer("live-token")
    late = LateSpans(
        processor,
        Resource.create(),
        slow_ms=slow_ms,
        per_second=per_second,
        clock=tap.clock,
        wall=tap.clock.wall,
    )
    tracing.keep_with(late)
    try:
        yield tap
    finally:
        tracing.keep_with(None)
        tracing._tracer = tracer
        provider.shutdown()
