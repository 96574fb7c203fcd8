"""Spans of requests that are not sampled: they cost a small object, and most leave nothing.

At the head of a request nobody knows how it ends, and at 1 % of a ratio most
refusals and failures would be gone. So a request that is not sampled takes its
notes on the side; if it is refused, fails or is slow, its span is made of them
at its end, and exported like any other. What is missing then are the hops below
that ended well: those are named by nothing but their own judgement.
"""

from __future__ import annotations

import random
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue


class Keeper(Protocol):
    """Exports spans that turn out to be worth it."""

    slow_ns: int
    """From how many nanoseconds on a request is slow."""

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since the epoch."""
        ...

    def admits(self) -> bool:
        """Return whether one more span may be kept, and count it."""
        ...

    def keep(self, notes: Notes) -> None:
        """Export a span that was admitted. Does not block, does not fail."""
        ...


class Notes(NonRecordingSpan):
    """What a span would have said of a request that is not sampled."""

    def __init__(
        self,
        keeper: Keeper,
        name: str,
        *,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Mapping[str, AttributeValue] | None,
    ) -> None:
        super().__init__(context)
        self.name = name
        self.kind = kind
        self.parent = parent
        self._added: dict[str, AttributeValue] = {}
        self._given = attributes
        self.status = StatusCode.UNSET
        self.wanted = False
        self.patient = False
        self.end_ns = 0
        self._kept: bool | None = None
        self._keeper = keeper
        self.start_ns = keeper.now_ns()

    def is_recording(self) -> bool:
        """Return True: what is said of it is noted."""
        return True

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Note an attribute."""
        self._added[key] = value

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:  # noqa: ARG002 - descriptions may hold secrets
        """Note how it went."""
        self.status = status.status_code if isinstance(status, Status) else status

    def child(self, name: str, attributes: Mapping[str, AttributeValue] | None) -> Notes:
        """Return notes of a call made below. It has no context yet: most need none."""
        context = self.get_span_context()
        return Notes(
            self._keeper,
            name,
            kind=SpanKind.CLIENT,
            context=context,
            parent=context,
            attributes=attributes,
        )

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """What was known at the beginning, and what was added."""
        return {**(self._given or {}), **self._added}

    @cached_property
    def exported_context(self) -> SpanContext:
        """The context of the span that is made of this. Of a call made below, a new one."""
        context = self.get_span_context()
        inner = self.parent is not None and self.parent.span_id == context.span_id
        return SpanContext(
            context.trace_id,
            random.getrandbits(64) or 1 if inner else context.span_id,
            is_remote=False,
            trace_flags=TraceFlags(context.trace_flags | TraceFlags.SAMPLED),
            trace_state=context.trace_state,
        )

    def settle(self) -> bool:
        """Decide at the end, once, whether it is kept; return that."""
        if self._kept is None:
            self.end_ns = max(self.start_ns, self._keeper.now_ns())
            self._kept = self._worth() and self._keeper.admits()
        return self._kept

    def close(self) -> None:
        """Keep it, if it is worth it. No code but that which opened it calls this."""
        if self.settle():
            self._keeper.keep(self)

    def _worth(self) -> bool:
        return (
            self.wanted
            or self.status is StatusCode.ERROR
            or (not self.patient and self.end_ns - self.start_ns >= self._keeper.slow_ns)
        )
