"""Which requests are traced from their head on; serving.keeping adds others at their end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    from serving.otel_variables import Variables

_PARENT_BASED = "parentbased_"


def sampler(variables: Variables, *, heeds_callers: bool) -> Sampler:
    """Return the sampler that OTEL_TRACES_SAMPLER names.

    Without `heeds_callers`, what a caller decided is not followed: else anybody
    could have all of their requests traced, or none of them. Nor does the ratio go
    by trace ids then, which callers choose.
    """
    name = variables.sampler
    root = _root(name.removeprefix(_PARENT_BASED), variables, by_id=heeds_callers)
    if not heeds_callers:
        return ParentBased(root, remote_parent_sampled=root, remote_parent_not_sampled=root)
    return ParentBased(root) if name.startswith(_PARENT_BASED) else root


class Dice(Sampler):
    """Samples a ratio of all traces, whatever their ids."""

    def __init__(self, ratio: float, draw: Callable[[], float] = random.random) -> None:
        self._ratio = ratio
        self._draw = draw

    def should_sample(  # noqa: PLR0917 - as the SDK has it
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - it may be the caller's
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        """See Sampler."""
        state = trace.get_current_span(parent_context).get_span_context().trace_state
        sampled = self._draw() < self._ratio
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP
        return SamplingResult(decision, attributes if sampled else None, state)

    def get_description(self) -> str:
        """See Sampler."""
        return f"Dice({self._ratio})"


def _root(name: str, variables: Variables, *, by_id: bool) -> Sampler:
    match name:
        case "always_on":
            return ALWAYS_ON
        case "always_off":
            return ALWAYS_OFF
        case _:
            return TraceIdRatioBased(variables.ratio) if by_id else Dice(variables.ratio)
