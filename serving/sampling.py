"""Which requests are traced from their head on; serving.keeping adds others at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

if TYPE_CHECKING:
    from serving.otel_variables import Variables

_PARENT_BASED = "parentbased_"


def sampler(variables: Variables, *, heeds_callers: bool) -> Sampler:
    """Return the sampler that OTEL_TRACES_SAMPLER names.

    Without `heeds_callers`, what a caller decided is not followed: else anybody
    could have all of their requests traced, or none of them.
    """
    name = variables.sampler
    root = _root(name.removeprefix(_PARENT_BASED), variables)
    if not name.startswith(_PARENT_BASED):
        return root
    if heeds_callers:
        return ParentBased(root)
    return ParentBased(root, remote_parent_sampled=root, remote_parent_not_sampled=root)


def _root(name: str, variables: Variables) -> Sampler:
    match name:
        case "always_on":
            return ALWAYS_ON
        case "always_off":
            return ALWAYS_OFF
        case _:
            return TraceIdRatioBased(variables.ratio)
