"""What policy decided and what became of it, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policy.decisions import Committed, Release
from policy.limits import Limit
from policy.record import outcome_name
from policy.rules import Mode, Rule
from policy.standing import Party
from serving import metrics

if TYPE_CHECKING:
    from policy.decisions import CommitOutcome
    from policy.judge import Ruling

_REFUSED = "refused_"


def begin() -> None:
    """Show what has not happened yet, so that its first time is seen as a change."""
    metrics.LOST_COMMITS.add(0)
    for mode in (Mode.ENFORCE, Mode.SHADOW):
        for each in Rule:
            metrics.FINDINGS.add(0, rule=each.value, mode=mode.value)
    for party in Party:
        for rule in (*(rule.value for rule in Rule), "operator"):
            metrics.BLOCKS.add(0, party=party.value, rule=rule)
    for outcome in Release:
        metrics.REFUNDS.add(0, outcome=outcome.value)


def ruling(ruled: Ruling) -> None:
    """Count a decision, and what rules found on the way to it."""
    outcome = outcome_name(ruled.outcome)
    metrics.DECISIONS.add(
        outcome=outcome,
        reason=outcome.removeprefix(_REFUSED) if outcome.startswith(_REFUSED) else None,
        tier=ruled.tier.name,
        degraded="true" if ruled.degraded else "false",
    )
    for found in ruled.findings:
        if found.broken:
            metrics.FINDINGS.add(rule=found.rule.value, mode=found.mode.value)


def commit(outcome: CommitOutcome) -> None:
    """Count a commit: how full its user's limits are now, or that it came too late."""
    if not isinstance(outcome, Committed):
        metrics.LOST_COMMITS.add()
        return
    for assessed in outcome.usage.by_limit:
        if assessed.limit is not Limit.COOLDOWN and assessed.value:  # which each token uses up
            metrics.QUOTA_USED.record(assessed.used / assessed.value, limit=assessed.limit.value)


def release(outcome: Release) -> None:
    """Count a reservation that is given back."""
    metrics.REFUNDS.add(outcome=outcome.value)
