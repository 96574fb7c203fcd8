"""What callers say happened to them, and what of it no quota allows.

Nobody outside knows when exactly a token was issued: at some moment after its commit was
sent, and before its first holder had it. So a violation is only what is one whenever in
these spans the commits were.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HOUR = 3600.0
_SLACK = 0.002
"""Seconds: a store counts whole milliseconds, and two clocks tick a little apart."""


class Heard(StrEnum):
    """What a caller heard of its request in the end."""

    TOKENS = "tokens"
    LOST = "lost"
    REFUSED = "refused"
    NOTHING = "nothing"
    """Its tokens may have been issued, or may yet be."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a request, as its caller knows it. Times are of the machine, in seconds."""

    user: str
    request: str
    heard: Heard
    sent: float
    """Before this moment, nothing of this attempt was issued."""
    received: float
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quota:
    """What a user may have."""

    per_hour: int
    cooldown: float = 0.0


@dataclass(frozen=True)
class Issue:
    """Tokens that were issued together, at one moment between `sent` and `received`."""

    user: str
    request: str
    tokens: tuple[str, ...]
    sent: float
    received: float


@dataclass
class History:
    """All attempts of all callers."""

    attempts: list[Attempt] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """Whatever else happened, and how often."""

    @classmethod
    def read(cls, files: Iterable[Path]) -> History:
        """Read what workers wrote: a line for each attempt, the last one for the notes."""
        history = cls()
        for file in files:
            *lines, last = file.read_text(encoding="utf-8").splitlines()
            history.notes.update(json.loads(last))
            for user, request, heard, sent, received, tokens in map(json.loads, lines):
                history.add(Attempt(user, request, Heard(heard), sent, received, tuple(tokens)))
        return history

    def write(self, file: Path) -> None:
        """Write it, to be read elsewhere."""
        rows: list[Any] = [
            [a.user, a.request, a.heard, a.sent, a.received, a.tokens] for a in self.attempts
        ]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, self.notes]))

    def extend(self, more: History) -> None:
        """Go on with another history."""
        self.attempts += more.attempts
        self.notes += more.notes

    def add(self, attempt: Attempt) -> None:
        """Add an attempt."""
        self.attempts.append(attempt)

    @property
    def users(self) -> set[str]:
        """Everybody who may have been charged."""
        return {attempt.user for attempt in self.attempts}

    @property
    def open(self) -> dict[tuple[str, str], Attempt]:
        """Of each request that nobody got tokens of, though there may be some, one attempt."""
        had = {(a.user, a.request) for a in self.attempts if a.heard is Heard.TOKENS}
        return {
            (a.user, a.request): a
            for a in self.attempts
            if a.heard is Heard.NOTHING and (a.user, a.request) not in had
        }

    @property
    def issues(self) -> list[Issue]:
        """What was delivered, each once however often it was."""
        began: dict[tuple[str, str], float] = {}
        issues: dict[tuple[str, str, tuple[str, ...]], Issue] = {}
        for a in self.attempts:
            request = (a.user, a.request)
            began[request] = min(a.sent, began.get(request, a.sent))
        for a in sorted(self.attempts, key=lambda a: a.received):
            if a.heard is Heard.TOKENS:
                sent = began[a.user, a.request]
                issue = Issue(a.user, a.request, a.tokens, sent, a.received)
                issues.setdefault((a.user, a.request, a.tokens), issue)
        return list(issues.values())

    @property
    def delivered(self) -> Counter[str]:
        """How many tokens each user has."""
        counts = Counter[str]()
        for issue in self.issues:
            counts[issue.user] += len(issue.tokens)
        return counts


def violations(issues: Iterable[Issue], quotas: dict[str, Quota]) -> list[str]:
    """Say what must not be, in a sentence each. A user's quota goes by its name up to a `-`."""
    found = []
    by_user: defaultdict[str, list[Issue]] = defaultdict(list)
    holders: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    answers: defaultdict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for issue in issues:
        by_user[issue.user].append(issue)
        answers[issue.user, issue.request].add(issue.tokens)
        for token in issue.tokens:
            holders[token].add((issue.user, issue.request))
    found += [f"{token} was delivered to {who}" for token, who in holders.items() if len(who) > 1]
    found += [f"{who} has {these}" for who, these in answers.items() if len(these) > 1]
    for user, theirs in by_user.items():
        quota = quotas[user.partition("-")[0]]
        theirs.sort(key=lambda issue: issue.sent)
        found += _over_the_hour(user, theirs, quota)
        found += _within_the_cooldown(user, theirs, quota)
    return found


def _over_the_hour(user: str, issues: list[Issue], quota: Quota) -> Iterable[str]:
    for place, first in enumerate(issues):
        ends = first.sent + HOUR - _SLACK
        count = sum(len(issue.tokens) for issue in issues[place:] if issue.received < ends)
        if count > quota.per_hour:
            yield f"{user} got {count} in an hour, and may have {quota.per_hour}"
            return  # the rest would say the same


def _within_the_cooldown(user: str, issues: list[Issue], quota: Quota) -> Iterable[str]:
    for place, one in enumerate(issues):
        for other in issues[place + 1 :]:
            if other.sent - one.sent >= quota.cooldown:
                break  # so are all that follow
            apart = max(other.received - one.sent, one.received - other.sent)
            if apart < quota.cooldown - _SLACK:
                yield f"{user} got two within {apart:.3f} s, and must wait {quota.cooldown} s"
