"""What the span of a call says of policy's decision, and whether it is kept for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from policy.decisions import (
    Abusive,
    Blocked,
    Committed,
    Denied,
    InProgress,
    Refused,
    Reused,
)
from policy.record import outcome_name
from serving import tracing

if TYPE_CHECKING:
    from policy.decisions import CommitOutcome, Outcome
    from policy.judge import Ruling

_REFUSED = "refused_"
_REFUSALS = (Abusive, Blocked, Denied, InProgress, Refused, Reused)
_LOST = "commit_lost"


def tell_decision(ruling: Ruling, *, dry_run: bool) -> None:
    """Put a decision, or what would be one, on the current span.

    A refusal is an answer like others, so nothing else would have its span kept.
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    outcome = ruling.outcome
    name = outcome_name(outcome)
    span.set_attribute(tracing.DECISION_ID, ruling.decision_id)
    span.set_attribute(tracing.DECISION, name)
    span.set_attribute(tracing.DEGRADED, ruling.degraded)
    span.set_attribute(tracing.TIER, ruling.tier.name)
    if name.startswith(_REFUSED):
        span.set_attribute(tracing.REASON, name.removeprefix(_REFUSED))
        _tell_whose(span, outcome)
    if isinstance(outcome, _REFUSALS) and not dry_run:
        tracing.want(span)


def tell_commit(outcome: CommitOutcome) -> None:
    """Put a commit that came too late on the current span: its token was dropped."""
    if isinstance(outcome, Committed):
        return
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute(tracing.REASON, _LOST)
        tracing.want(span)


def _tell_whose(span: trace.Span, outcome: Outcome) -> None:
    match outcome:
        case Refused(verdict, _):
            span.set_attribute(tracing.LIMIT, verdict.limit.value)
        case Abusive(rule):
            span.set_attribute(tracing.RULE, rule.value)
        case _:
            pass
