"""What policy's span says of a decision, and which of its answers have it kept."""

from __future__ import annotations

from typing import Any

import pytest
from span_tap import Tap, said, tapped

from policy import spans
from policy.decisions import (
    Abusive,
    Blocked,
    Committed,
    Denied,
    InProgress,
    Lost,
    Noted,
    Outcome,
    Refused,
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.effective import Tier
from policy.judge import Ruling
from policy.limits import Limit, Verdict
from policy.rules import Rule
from policy.standing import Block, Offender, Party
from serving import tracing

NOW = 1_767_225_600_000
BLOCK = Block(NOW, NOW + 1, "volume")
USAGE: Any = Usage
LIMIT, RULE, REASON = tracing.LIMIT, tracing.RULE, tracing.REASON

GRANTS: list[Outcome] = [Reserved(NOW), Replayed(b"sealed", USAGE, NOW), Noted()]
REFUSALS: list[tuple[Outcome, str, dict[str, str]]] = [
    (
        Refused(Verdict(Limit.COOLDOWN, 300_000, NOW), NOW),
        "refused_cooldown",
        {LIMIT: "cooldown", REASON: "cooldown"},
    ),
    (Abusive(Rule.VOLUME, NOW), "refused_volume", {RULE: "volume", REASON: "volume"}),
    (
        Blocked(Offender(Party.USER, "u"), BLOCK, NOW),
        "refused_user_blocked",
        {REASON: "user_blocked"},
    ),
    (
        Blocked(Offender(Party.ADDRESS, "a"), BLOCK, NOW),
        "refused_address_blocked",
        {REASON: "address_blocked"},
    ),
    (Denied(), "refused_address_denied", {REASON: "address_denied"}),
    (InProgress(NOW, NOW), "in_progress", {}),
    (Reused(NOW), "request_id_reused", {}),
]


def told(outcome: Outcome, *, dry_run: bool = False) -> Tap:
    """Return what is exported of an unsampled request that was decided so."""
    with tapped() as tap, tracing.server_span("served", {}):
        ruling = Ruling("d-1", outcome, Tier(), degraded=True)
        spans.tell_decision(ruling, dry_run=dry_run)
    return tap


@pytest.mark.parametrize("outcome, name, more", REFUSALS, ids=[name for _, name, _ in REFUSALS])
def test_a_refusal_is_kept_and_says_by_what(
    outcome: Outcome, name: str, more: dict[str, str]
) -> None:
    """It is an answer with OK, and kept all the same; a dry run of it is not."""
    assert dict(said(told(outcome).named("served"))) == {
        tracing.DECISION: name,
        tracing.DECISION_ID: "d-1",
        tracing.TIER: Tier().name,
        tracing.DEGRADED: True,
        tracing.KEPT: True,
        **more,
    }
    assert told(outcome, dry_run=True).spans == []


@pytest.mark.parametrize("outcome", GRANTS, ids=[type(each).__name__ for each in GRANTS])
def test_what_is_no_refusal_is_not_kept(outcome: Outcome) -> None:
    """A grant, a repeat and a report leave nothing of an unsampled request."""
    assert told(outcome).spans == []


def test_a_lost_commit_is_kept() -> None:
    """Its token was dropped, and its caller is told of a failure."""
    with tapped() as tap:
        for outcome in (Committed(USAGE), Lost()):
            with tracing.server_span("served", {}):
                spans.tell_commit(outcome)
        assert said(tap.named("served"))[REASON] == "commit_lost"


def test_outside_of_a_request_nothing_is_said() -> None:
    """Where there is no span, nothing is kept and nothing fails."""
    with tapped() as tap:
        spans.tell_decision(Ruling("d-1", Denied(), Tier()), dry_run=False)
        spans.tell_commit(Lost())
        assert tap.spans == []
