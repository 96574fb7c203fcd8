"""Spans of requests that are not sampled: they cost a small object, and most leave nothing.

At the head of a request nobody knows how it ends, and at 1 % of a ratio most
refusals and failures would be gone. So a request that is not sampled takes its
notes on the side; if it is refused, fails or is slow, its span is made of them
at its end, and exported like any other. What is missing then are the hops below
that ended well: those are named by nothing but their own judgement.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue


class Keeper(Protocol):
    """Exports spans that turn out to be worth it."""

    slow_ns: int
    """From how many nanoseconds on a request is slow."""

    def keep(self, notes: Notes, end_ns: int) -> None:
        """Export a span. Does not block, does not fail."""
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
        self.attributes: dict[str, AttributeValue] = dict(attributes or {})
        self.status = StatusCode.UNSET
        self.wanted = False
        self.start_ns = time.time_ns()
        self._keeper = keeper

    def is_recording(self) -> bool:
        """Return True: what is said of it is noted."""
        return True

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Note an attribute."""
        self.attributes[key] = value

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

    def worth(self, end_ns: int) -> bool:
        """Return whether it is worth keeping, if it ends then."""
        return (
            self.wanted
            or self.status is StatusCode.ERROR
            or end_ns - self.start_ns >= self._keeper.slow_ns
        )

    def close(self) -> None:
        """Keep it, if it is worth it. No code but that which opened it calls this."""
        end_ns = time.time_ns()
        if self.worth(end_ns):
            self._keeper.keep(self, end_ns)
