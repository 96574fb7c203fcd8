"""What would be decided, and every rule's and limit's part in it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policy import limits as arithmetic, patterns, signs
from policy.account import Account
from policy.decisions import Denied
from policy.degraded import reduced_by
from policy.judge import Ruling, abuse, block_in_force, decision_id
from policy.tries import Try, TryKind, added, tried

if TYPE_CHECKING:
    from policy.decisions import Inspection, Outcome
    from policy.judge import Book, Request
    from policy.limits import Assessment
    from policy.rules import Finding
    from policy.store import Store

_ANY_LEASE_MS = 1


@dataclass(frozen=True, slots=True)
class Explanation:
    """A ruling that was not made, with all that it would rest on."""

    ruling: Ruling
    limits: tuple[Assessment, ...]
    findings: tuple[Finding, ...]
    """Of every rule."""
    inspection: Inspection
    denied: bool | None
    """Whether the policy file denies the address. None: there is none."""


class Explainer:
    """Tells what the judge would decide by the same store and policy."""

    def __init__(self, store: Store, book: Book) -> None:
        """Read `store`, judge by what `book` has in force."""
        self._store = store
        self._book = book

    async def explain(self, request: Request) -> Explanation:
        """Judge without charging, and without remembering that it was asked."""
        policy = self._book.current
        tier = policy.tier(request.tier)
        where = request.client.address
        address = None if policy.exempts(where) else request.address
        seen = await self._store.inspect(request.attempt.user, address)
        account = Account(seen.account.charges, seen.account.sealed)
        now = account.settle(seen.now)
        in_force = reduced_by(policy, tier.limits) if seen.degraded else tier.limits
        limits = tuple(arithmetic.assess(account.spends, request.count, in_force, now))
        decision = account.reserve(
            request.attempt,
            request.fingerprint,
            request.count,
            in_force,
            now=now,
            lease_ms=_ANY_LEASE_MS,
        )
        new = tried(decision, request.fingerprint)
        judged = new or _no_evidence(now, request.fingerprint)
        tries = added(seen.tries, judged, tier.rules.memory)
        signed = signs.findings(request.client, request.content, tier.rules)
        patterned = patterns.findings(tries, tier.rules)
        denied = None if where is None else policy.denies(where)
        outcome: Outcome = (
            (Denied() if denied else None)
            or block_in_force(seen, request.attempt.user, address)
            or abuse(signed, now)
            or abuse(patterned, now)
            or decision
        )
        findings = (*signed, *patterned)
        ruling = Ruling(decision_id(), outcome, tier, findings, seen.degraded)
        return Explanation(ruling, limits, findings, seen, denied)


def _no_evidence(now: int, fingerprint: bytes) -> Try:
    """Return what stands for a grant, which is no try: it breaks nothing.

    Judged by it, patterns tell what they see of the past at `now`.
    """
    return Try(now, now + 1, TryKind.BUSY, fingerprint)
