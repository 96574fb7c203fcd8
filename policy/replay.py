"""What another policy would have decided: the decision log, run again by the real judge.

The store starts empty and its clock follows the log. What the candidate grants
where the log refused counts as minted and committed at once; what it refuses
where the log granted is not charged. How users would then have acted is not
known: they are taken to have asked what they asked.

Two things cannot be judged again, for what they look at is not in the log: the
content of a request, of which the logged finding is taken, and the address
itself, so that `deny` and `exempt` lists stay out of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from policy.account import Sealed
from policy.decisions import Reserved
from policy.judge import Judge, Request
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.record import outcome_name
from policy.replay_log import (
    Changed,
    Commit,
    Credentials,
    Decided,
    Line,
    Logged,
    Malformed,
    Released,
    Started,
)
from policy.rules import Client, Content, Mode
from policy.standing import Party
from policy.tries import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.decisions import Attempt
    from policy.effective import EffectivePolicy
    from policy.judge import Ruling
    from policy.rules import Rules

TOKEN_LIFE_MS = 1_800_000
_SEAL_MS = 120_000
_LEASE_MS = 30_000
_MAX_USERS = 10_000_000
_UNLIMITED = Limits(tokens_per_hour=2**31, tokens_per_day=2**31, cooldown_ms=0)
_GRANTED = {"reserved", "replayed"}
_DENIED = "refused_address_denied"


@dataclass(slots=True)
class Row:
    """What became of one rule or limit."""

    logged_refused: int = 0
    candidate_refused: int = 0
    newly_refused: int = 0
    newly_granted: int = 0
    logged_shadow: int = 0
    """Would have been refused, had the rule not been in shadow mode."""
    candidate_shadow: int = 0
    newly_refused_examples: list[str] = field(default_factory=list)
    newly_granted_examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What would change."""

    began_at: int | None = None
    ended_at: int | None = None
    entries: int = 0
    decisions: int = 0
    reports: int = 0
    logged_refused: int = 0
    candidate_refused: int = 0
    newly_refused: int = 0
    newly_granted: int = 0
    refused_otherwise: int = 0
    """Refused by both, by another rule."""
    users: int = 0
    users_affected: int = 0
    rules: dict[str, Row] = field(default_factory=dict)
    malformed: int = 0
    malformed_examples: list[str] = field(default_factory=list)
    whole: bool = False
    """Whether the log begins with what it began with: an empty store."""
    earlier_commits: int = 0
    """Commits of reservations from before the log."""
    policies: int = 0
    degraded: int = 0
    denied: int = 0
    content_taken: int = 0
    """Requests whose content was found suspicious."""
    content_judged: bool = False
    """Whether the log says of any content what was found."""

    def row(self, outcome: str) -> Row:
        """Return the row of the rule that refused."""
        return self.rules.setdefault(outcome.removeprefix("refused_"), Row())


async def replay(lines: Iterable[Line], candidate: EffectivePolicy, *, examples: int = 5) -> Report:
    """Judge what was logged by `candidate`; keep so many examples of each change."""
    replaying = _Replay(candidate, examples)
    for line in lines:
        await replaying.step(line)
    return replaying.finished()


class _Store(MemoryStore):
    """A memory whose leases are as long as the logged ones."""

    def lease(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms


@dataclass(frozen=True, slots=True)
class _Page:
    current: EffectivePolicy


class _Replay:
    def __init__(self, candidate: EffectivePolicy, examples: int) -> None:
        self._policy = replace(candidate, denied=(), exempt=())
        self._examples = examples
        self._now = 0
        self._tiers: dict[Attempt, str] = {}
        self._users: set[str] = set()
        self._affected: set[str] = set()
        self._policies: Counter[str] = Counter()
        self.report = Report()
        self._forget()

    def _forget(self) -> None:
        self._store = _Store(lambda: self._now, lease_ms=_LEASE_MS, max_users=_MAX_USERS)
        self._judge = Judge(self._store, _Page(self._policy))

    def finished(self) -> Report:
        self.report.users = len(self._users)
        self.report.users_affected = len(self._affected)
        self.report.policies = len(self._policies)
        return self.report

    async def step(self, line: Line) -> None:
        report = self.report
        if isinstance(line, Malformed):
            report.malformed += 1
            if len(report.malformed_examples) < self._examples:
                report.malformed_examples.append(f"{line.where}: {line.why}")
            return
        self._now = line.at
        if report.began_at is None:
            report.began_at = line.at
            report.whole = isinstance(line, Started) and line.empty
        report.ended_at = line.at
        report.entries += 1
        await self._run(line)

    async def _run(self, line: Logged) -> None:
        match line:
            case Decided(reported=True):
                await self._reported(line)
            case Decided():
                await self._decided(line)
            case Credentials(_, address, evidence):
                await self._judge.credentials_rejected(Client(), address, evidence)
            case Commit():
                await self._commit(line)
            case Released(_, attempt, ambiguous):
                tier = self._tiers.get(attempt, "")
                await self._judge.release(attempt, tier, ambiguous=ambiguous)
            case Changed():
                await self._changed(line)
            case Started(_, empty) if empty:
                self._forget()

    async def _reported(self, logged: Decided) -> None:
        self.report.reports += 1
        ruling = await self._judge.request_rejected(self._request(logged))
        self._shadows(logged, ruling)

    async def _decided(self, logged: Decided) -> None:
        report = self.report
        report.decisions += 1
        report.degraded += logged.degraded
        self._users.add(logged.attempt.user)
        self._policies[logged.policy] += 1
        if logged.outcome == _DENIED:
            report.denied += 1
            self._compare(logged, _DENIED)
            return
        if logged.lease_until is not None:
            self._store.lease(logged.lease_until - logged.at)
            self._tiers[logged.attempt] = logged.tier
        ruling = await self._judge.reserve(self._request(logged))
        if isinstance(ruling.outcome, Reserved) and logged.lease_until is None:
            await self._commit_now(logged.attempt, logged.count, logged.at + TOKEN_LIFE_MS)
        self._compare(logged, outcome_name(ruling.outcome))
        self._shadows(logged, ruling)

    async def _commit(self, line: Commit) -> None:
        if line.committed and line.attempt not in self._tiers:
            self.report.earlier_commits += 1
            self._tiers[line.attempt] = ""
            await self._store.reserve(
                line.attempt, b"", line.count, _UNLIMITED, address=None, memory=Memory()
            )
        until = line.at + _SEAL_MS if line.sealed_until is None else line.sealed_until
        await self._commit_now(line.attempt, line.count, line.expires, until)

    async def _commit_now(
        self, attempt: Attempt, count: int, expires: int, until: int | None = None
    ) -> None:
        sealed = Sealed(b"", self._now + _SEAL_MS if until is None else until)
        await self._judge.commit(attempt, "", count, expires, sealed)

    async def _changed(self, line: Changed) -> None:
        match line.event:
            case "block_added":
                await self._store.block(
                    line.offender, until=line.until, reason=line.reason, actor=line.actor
                )
            case "block_lifted":
                await self._store.lift(line.offender)
            case "user_reset" if line.offender.party is Party.USER:
                await self._store.forget(line.offender.name)
                await self._store.lift(line.offender.shadow())

    def _request(self, logged: Decided) -> Request:
        return Request(
            attempt=logged.attempt,
            fingerprint=logged.fingerprint,
            count=logged.count,
            tier=logged.tier,
            client=Client(None, logged.headers),
            address=logged.address,
            content=self._content(logged, self._policy.tier(logged.tier).rules),
        )

    def _content(self, logged: Decided, rules: Rules) -> Content:
        """Return content of which the candidate's rule finds what the log says was found."""
        rule = rules.suspicious_content
        self.report.content_judged |= logged.suspicious is not None
        if rule.mode is Mode.OFF or not logged.suspicious:
            return Content()
        self.report.content_taken += 1
        if rule.instruction_fragments:
            return Content(instruction=f"{rule.instruction_fragments[0]}x")
        return Content(model="".join(rule.model_fragments[:1]))

    def _compare(self, logged: Decided, outcome: str) -> None:
        report = self.report
        was, would = logged.outcome not in _GRANTED, outcome not in _GRANTED
        report.logged_refused += was
        report.candidate_refused += would
        report.refused_otherwise += was and would and logged.outcome != outcome
        if was:
            report.row(logged.outcome).logged_refused += 1
        if would:
            report.row(outcome).candidate_refused += 1
        if was == would:
            return
        self._affected.add(logged.attempt.user)
        row = report.row(outcome if would else logged.outcome)
        if would:
            report.newly_refused += 1
            row.newly_refused += 1
            examples = row.newly_refused_examples
        else:
            report.newly_granted += 1
            row.newly_granted += 1
            examples = row.newly_granted_examples
        if len(examples) < self._examples:
            examples.append(logged.decision_id)

    def _shadows(self, logged: Decided, ruling: Ruling) -> None:
        for rule in logged.shadow:
            self.report.row(rule).logged_shadow += 1
        for found in ruling.findings:
            if found.broken and found.mode is Mode.SHADOW:
                self.report.row(found.rule.value).candidate_shadow += 1
