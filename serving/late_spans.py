"""Makes spans of the notes of requests that were not sampled: see serving.keeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Status

from serving import metrics, tracing
from serving.log_areas import debugging

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

    from serving.keeping import Notes

log = structlog.get_logger(__name__)

_SCOPE = InstrumentationScope("live-token")
_MILLION = 1_000_000


class LateSpans:
    """Exports spans through `processor`, at most `per_second`, with a burst of as many.

    More are counted, not kept: who is refused a thousand times a second must not
    take the room of those who are traced.
    """

    def __init__(
        self,
        processor: SpanProcessor,
        resource: Resource,
        *,
        slow_ms: int,
        per_second: int,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.now_ns = wall
        self.slow_ns = slow_ms * _MILLION
        self._processor = processor
        self._resource = resource
        self._rate = per_second
        self._clock = clock
        self._left = float(per_second)
        self._filled_at = clock()

    def admits(self) -> bool:
        """See Keeper."""
        now = self._clock()
        self._left = min(self._rate, self._left + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._left < 1:
            metrics.SPANS_UNKEPT.add()
            return False
        self._left -= 1
        return True

    def keep(self, notes: Notes) -> None:
        """See Keeper."""
        if debugging(__name__):
            log.debug("span kept", name=notes.name, status=notes.status.name)
        self._processor.on_end(
            ReadableSpan(
                name=notes.name,
                context=notes.exported_context,
                parent=notes.parent,
                resource=self._resource,
                attributes={**notes.attributes, tracing.KEPT: True},
                kind=notes.kind,
                status=Status(notes.status),
                start_time=notes.start_ns,
                end_time=notes.end_ns,
                instrumentation_scope=_SCOPE,
            )
        )
