"""Decides: addresses and signs, then limits and patterns. Knows no wire format.

What an address, a sign or a pattern refuses is answered as that, even where a
limit would refuse as well. One round trip to the store decides; only a refusal
may cost more. A request breaks at most one rule, however many it breaks.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from policy import patterns, signs
from policy.decisions import Abusive, Blocked, Denied, Noted
from policy.record import outcome_name
from policy.rules import Finding, Mode, Rule
from policy.standing import Offender, Party
from policy.tries import TryKind
from serving import metrics
from serving.log_areas import debugging
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.account import Sealed
    from policy.decisions import Attempt, CommitOutcome, Inspection, Outcome, Release, Stats, Usage
    from policy.effective import EffectivePolicy, Tier
    from policy.rules import Client, Content
    from policy.store import Store

log = structlog.get_logger(__name__)


class Book(Protocol):
    """Where the policy in force stands."""

    @property
    def current(self) -> EffectivePolicy:
        """The policy in force."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided."""

    attempt: Attempt
    fingerprint: bytes
    """4 bytes."""
    count: int
    tier: str
    client: Client
    address: str | None
    """Pseudonym of the client's address."""
    content: Content


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, and by what."""

    decision_id: str
    outcome: Outcome
    tier: Tier
    findings: tuple[Finding, ...] = ()
    """Of the rules that had something to look at."""
    degraded: bool = False


class Judge:
    """Decides by the policy in force and by what the store knows.

    Every method raises StoreUnavailable where there can be no decision.
    """

    def __init__(self, store: Store, book: Book) -> None:
        """Keep account in `store`, decide by what `book` has in force."""
        self._store = store
        self._book = book

    @property
    def digest(self) -> str:
        """Name of the policy in force."""
        return self._book.current.digest

    def tier(self, name: str) -> Tier:
        """Return the tier of that name as it is in force."""
        return self._book.current.tier(name)

    async def reserve(self, request: Request) -> Ruling:
        """Decide, and charge what is granted."""
        name, policy = decision_id(), self._book.current
        tier = policy.tier(request.tier)
        signed = signs.findings(request.client, request.content, tier.rules)
        if policy.denies(request.client.address):
            return _ruled(name, Denied(), tier, tuple(signed))
        address = None if policy.exempts(request.client.address) else request.address
        if any(finding.refuses for finding in signed):
            inspection = await self._store.inspect(request.attempt.user, address)
            blocked = block_in_force(inspection, request.attempt.user, address)
            refused = blocked or await self._refuse(request, signed, tier, inspection.now, name)
            return _ruled(name, refused or Noted(), tier, tuple(signed), inspection.degraded)
        answer = await self._store.reserve(
            request.attempt,
            request.fingerprint,
            request.count,
            tier.limits,
            address=address,
            memory=tier.rules.memory,
        )
        if not answer.tries:
            return _ruled(name, answer.decision, tier, tuple(signed), answer.degraded)
        found = patterns.findings(answer.tries, tier.rules)
        refused = await self._refuse(request, found, tier, answer.tries[-1].at, name)
        return _ruled(name, refused or answer.decision, tier, (*signed, *found), answer.degraded)

    async def commit(
        self, attempt: Attempt, tier: str, count: int, expires: int, sealed: Sealed
    ) -> CommitOutcome:
        """Make `count` of what was reserved final."""
        return await self._store.commit(attempt, count, expires, sealed, self.tier(tier).limits)

    async def release(self, attempt: Attempt, tier: str, *, ambiguous: bool) -> Release:
        """Give a charge back."""
        return await self._store.release(attempt, self.tier(tier).limits, ambiguous=ambiguous)

    async def usage(self, user: str, tier: str) -> Usage:
        """Read a user's usage."""
        return await self._store.usage(user, self.tier(tier).limits)

    async def stats(self) -> Stats:
        """Read the numbers of all users together."""
        return await self._store.stats()

    async def credentials_rejected(
        self, client: Client, address: str | None, evidence: bytes
    ) -> Ruling:
        """Count wrong credentials against the address they came from.

        `evidence` tells them from others: the same ones again are no further violation.
        Empty: not known, and each counts.
        """
        name, policy = decision_id(), self._book.current
        mode = policy.default.rules.failed_credentials.mode
        applies = address is not None and not policy.exempts(client.address)
        finding = Finding(Rule.FAILED_CREDENTIALS, mode, broken=applies, applies=applies)
        if address is not None and finding.refuses:
            offender = Offender(Party.ADDRESS, address)
            await self._offend(offender, finding.rule, policy.default, name, evidence)
        return _ruled(name, Noted(), policy.default, (finding,))

    async def request_rejected(self, request: Request) -> Ruling:
        """Remember a try that ended before a reservation, and what it breaks."""
        name, tier = decision_id(), self.tier(request.tier)
        signed = signs.findings(request.client, request.content, tier.rules)
        observation = await self._store.observe(
            request.attempt.user, TryKind.REJECTED, request.fingerprint, tier.rules.memory
        )
        found = (*signed, *patterns.findings(observation.tries, tier.rules))
        outcome = await self._refuse(request, found, tier, observation.now, name)
        return _ruled(name, outcome or Noted(), tier, found, observation.degraded)

    async def _refuse(
        self, request: Request, findings: Sequence[Finding], tier: Tier, now: int, decision: str
    ) -> Abusive | None:
        """Return the refusal that `findings` amount to, if any, having counted the violation."""
        abusive = abuse(findings, now)
        broken = next((f for f in findings if f.refuses and f.violation), None)
        if broken is not None:
            offender = Offender(Party.USER, request.attempt.user)
            await self._offend(offender, broken.rule, tier, decision)
        return abusive

    async def _offend(
        self, offender: Offender, rule: Rule, tier: Tier, decision: str, evidence: bytes = b""
    ) -> None:
        rules = tier.rules
        if rules.blocking_mode is Mode.OFF:
            return
        shadow = rules.blocking_mode is Mode.SHADOW
        try:
            standing = await self._store.offend(
                offender.shadow() if shadow else offender,
                rule,
                rules.blocking,
                evidence=evidence,
            )
        except StoreUnavailable as error:
            # The refusal stands without it; what is lost is its weight in a later block.
            log.warning(
                "violation not counted",
                decision_id=decision,
                rule=rule.value,
                cause=str(error),
            )
            return
        if standing.fresh and not shadow:
            metrics.BLOCKS.add(party=offender.party.value, rule=rule.value)
        log.info(
            "violation",
            decision_id=decision,
            party=offender.party.value,
            name=offender.name,
            rule=rule.value,
            blocked=standing.block is not None,
            mode=rules.blocking_mode.value,
        )


def _ruled(
    name: str,
    outcome: Outcome,
    tier: Tier,
    findings: tuple[Finding, ...] = (),
    degraded: bool = False,  # noqa: FBT001, FBT002 - as in Ruling
) -> Ruling:
    if debugging(__name__):
        log.debug(
            "judged",
            decision_id=name,
            outcome=outcome_name(outcome),
            tier=tier.name,
            findings={
                each.rule.value: f"{each.mode.value} {each.observed:g} of {each.threshold:g}"
                + (", broken" if each.broken else "")
                for each in findings
            },
        )
    return Ruling(name, outcome, tier, findings, degraded)


def decision_id() -> str:
    """Return a new name for a decision."""
    return secrets.token_hex(8)


def abuse(findings: Sequence[Finding], now: int) -> Abusive | None:
    """Return the refusal that `findings` amount to: the one that holds longest, if any."""
    refusing = [finding for finding in findings if finding.refuses]
    if not refusing:
        return None
    longest = max(refusing, key=lambda f: float("inf") if f.ends_at is None else f.ends_at)
    return Abusive(longest.rule, now, longest.ends_at)


def block_in_force(inspection: Inspection, user: str, address: str | None) -> Blocked | None:
    """Return the block that stands in the way, the address's before the user's."""
    for party, name, standing in (
        (Party.ADDRESS, address or "", inspection.address),
        (Party.USER, user, inspection.user),
    ):
        if standing.block is not None:
            return Blocked(Offender(party, name), standing.block, inspection.now)
    return None
