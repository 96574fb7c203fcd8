"""What was decided, as the decision log says it: plain values, nothing that names anyone.

`policy replay` reads these entries again, so their form is an interface:
docs/decisions.md describes each field, and `FORMAT` counts its versions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from policy.decisions import (
    Abusive,
    Blocked,
    Committed,
    Denied,
    InProgress,
    Noted,
    Refused,
    Replayed,
    Reserved,
    Reused,
)

if TYPE_CHECKING:
    from policy.decisions import Attempt, CommitOutcome, Outcome, Release
    from policy.judge import Request, Ruling
    from policy.limits import Limits
    from policy.rules import Finding
    from policy.standing import Offender

FORMAT = 1

_TIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
"""What a tier may be called; a claim that is anything else may name a person."""

Entry = dict[str, Any]


class Recorder(Protocol):
    """Where entries go. Must not block, and must not fail its caller."""

    def write(self, entry: Entry) -> None:
        """Keep an entry."""
        ...


def decision(at: int, event: str, request: Request, ruling: Ruling, digest: str) -> Entry:
    """Return the entry of a decision (`event`: decision) or of a reported try (rejected)."""
    headers, outcome = request.client.headers, ruling.outcome
    return {
        "v": FORMAT,
        "event": event,
        "at": at,
        "decision_id": ruling.decision_id,
        "outcome": outcome_name(outcome),
        "next_allowed_at": next_allowed_at(outcome),
        "lease_until": outcome.lease_until if isinstance(outcome, Reserved) else None,
        **_attempt(request.attempt),
        "address": request.address,
        "fingerprint": request.fingerprint.hex(),
        "count": request.count,
        "tier": ruling.tier.name,
        "asked_tier": request.tier if _TIER.fullmatch(request.tier) else "",
        "limits": limits(ruling.tier.limits),
        "headers": None if headers is None else sorted(headers),
        "findings": [finding(found) for found in ruling.findings if found.applies],
        "degraded": ruling.degraded,
        "policy": digest,
    }


def credentials(
    at: int, ruling: Ruling, address: str | None, evidence: bytes, digest: str
) -> Entry:
    """Return the entry of rejected credentials."""
    return {
        "v": FORMAT,
        "event": "credentials",
        "at": at,
        "decision_id": ruling.decision_id,
        "outcome": outcome_name(ruling.outcome),
        "address": address,
        "fingerprint": evidence.hex(),
        "findings": [finding(found) for found in ruling.findings if found.applies],
        "policy": digest,
    }


def commit(
    at: int,
    attempt: Attempt,
    count: int,
    expires: int,
    outcome: CommitOutcome,
    *,
    sealed_until: int | None = None,
) -> Entry:
    """Return the entry of a commit, which is replayed until `sealed_until`."""
    return {
        "v": FORMAT,
        "event": "commit",
        "at": at,
        "outcome": "committed" if isinstance(outcome, Committed) else "lost",
        **_attempt(attempt),
        "count": count,
        "expires": expires,
        "sealed_until": sealed_until,
    }


def release(at: int, attempt: Attempt, outcome: Release, *, ambiguous: bool) -> Entry:
    """Return the entry of a release."""
    return {
        "v": FORMAT,
        "event": "release",
        "at": at,
        "outcome": outcome.value,
        **_attempt(attempt),
        "ambiguous": ambiguous,
    }


def change(
    at: int, event: str, offender: Offender, *, reason: str, actor: str, digest: str
) -> Entry:
    """Return the entry of what an operator did: block_added, block_lifted or user_reset."""
    return {
        "v": FORMAT,
        "event": event,
        "at": at,
        "party": offender.party.value,
        "name": offender.name,
        "reason": reason,
        "actor": actor,
        "policy": digest,
    }


def started(at: int, *, store: str, digest: str) -> Entry:
    """Return the entry of a process that starts; `store` memory means: it knows of nothing."""
    return {"v": FORMAT, "event": "started", "at": at, "store": store, "policy": digest}


def finding(found: Finding) -> Entry:
    """Return what a rule found."""
    return {
        "rule": found.rule.value,
        "mode": found.mode.value,
        "broken": found.broken,
        "observed": found.observed,
        "threshold": found.threshold,
    }


def limits(of: Limits) -> Entry:
    """Return limits."""
    return {
        "tokens_per_hour": of.tokens_per_hour,
        "tokens_per_day": of.tokens_per_day,
        "cooldown_ms": of.cooldown_ms,
        "concurrent_sessions": of.concurrent_sessions,
    }


def outcome_name(outcome: Outcome) -> str:  # noqa: PLR0911 - one for each outcome
    """Return an outcome's name for logs, spans and the decision log: a small, fixed set."""
    match outcome:
        case Reserved():
            return "reserved"
        case Refused(verdict, _):
            return f"refused_{verdict.limit.value}"
        case Abusive(rule):
            return f"refused_{rule.value}"
        case Blocked(offender):
            return f"refused_{offender.party.value}_blocked"
        case Denied():
            return "refused_address_denied"
        case Replayed():
            return "replayed"
        case InProgress():
            return "in_progress"
        case Reused():
            return "request_id_reused"
        case Noted():
            return "noted"


def next_allowed_at(outcome: Outcome) -> int | None:
    """Return from when on waiting helps, where it does."""
    match outcome:
        case Refused(verdict, _):
            return verdict.next_allowed_at
        case Abusive(ends_at=ends_at):
            return ends_at
        case Blocked(block=block, now=now):
            return block.ends(now)
        case InProgress(lease_until, _):
            return lease_until
        case _:
            return None


def _attempt(attempt: Attempt) -> Entry:
    return {
        "user": attempt.user,
        "request": attempt.request.hex(),
        "owner": attempt.owner.hex(),
    }
