"""What would be decided, and every rule's and limit's part in it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policy import limits as arithmetic, patterns, signs
from policy.account import Account
from policy.decisions import Denied
from policy.judge import Ruling, abuse, block_in_force, decision_id
from policy.tries import added, tried

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
        exempt = policy.exempts(request.client.address)
        address = None if exempt else request.address
        seen = await self._store.inspect(request.attempt.user, address)
        account = Account(seen.account.charges, seen.account.sealed)
        now = account.settle(seen.now)
        limits = arithmetic.assess(account.spends, request.count, tier.limits, now)
        decision = account.reserve(
            request.attempt,
            request.fingerprint,
            request.count,
            tier.limits,
            now=now,
            lease_ms=_ANY_LEASE_MS,
        )
        new = tried(decision, request.fingerprint)
        tries = added(seen.tries, new, tier.rules.memory) if new else seen.tries
        signed = signs.findings(request.client, request.content, tier.rules)
        patterned = patterns.findings(tries, tier.rules)
        outcome: Outcome = (
            (Denied() if policy.denies(request.client.address) else None)
            or block_in_force(seen, request.attempt.user, address)
            or abuse(signed, now)
            or (abuse(patterned, now) if new else None)
            or decision
        )
        findings = (*signed, *patterned)
        return Explanation(
            Ruling(decision_id(), outcome, tier, findings), tuple(limits), findings, seen
        )
