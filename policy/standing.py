"""How an address or a user stands: violations that still count, and a block.

No I/O, no clock. Times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from policy.account import STANDSTILL_MS

if TYPE_CHECKING:
    from policy.rules import Rule

POLICY = "policy"
"""The actor of a block that no person set."""


class Party(StrEnum):
    """What can be held to account."""

    ADDRESS = "address"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Offender:
    """An address or a user, by pseudonym."""

    party: Party
    name: str

    def shadow(self) -> Offender:
        """Return who is held to account in its stead where blocking is in shadow mode."""
        return Offender(self.party, f"~{self.name}")


@dataclass(frozen=True, slots=True)
class Blocking:
    """How many violations, within which time, block for how long."""

    violations: int = 5
    window_ms: int = 3_600_000
    block_ms: int = 7_200_000


@dataclass(frozen=True, slots=True)
class Block:
    """Nothing is granted to the offender from `since` until `until`."""

    since: int
    until: int
    reason: str
    """A rule's name, or an operator's words."""
    actor: str = POLICY

    def ends(self, now: int) -> int:
        """Return when it ends: never further off than it is long, whatever the clock did."""
        return min(self.until, now + self.until - self.since)

    def holds(self, now: int) -> bool:
        """Whether it is in force.

        One that begins in the future was set by a clock that was wrong, and has been set back
        since: held to, it would last longer than it was set for, by a day perhaps.
        """
        return self.since <= now + STANDSTILL_MS and now < self.until


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule was broken."""

    at: int
    rule: Rule
    evidence: bytes = b""
    """4 bytes of a digest of what broke it; b"" (and four zeros): none was given."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an offender stands."""

    violations: tuple[Violation, ...] = ()
    """Oldest first."""
    block: Block | None = None
    fresh: bool = field(default=False, compare=False)
    """Whether the block came with what was just counted."""

    def at(self, now: int, window_ms: int) -> Standing:
        """Return what of it still counts."""
        return Standing(
            tuple(v for v in self.violations if now - window_ms < v.at),
            self.block if self.block is not None and self.block.holds(now) else None,
        )

    def after(self, rule: Rule, now: int, blocking: Blocking, evidence: bytes = b"") -> Standing:
        """Return how it stands after a violation of `rule`.

        A violation during a block changes nothing: a block lasts as long as it was set for.
        Nor does one of the same rule by the same evidence: a mistake made again and again, a
        stale credential say, is one; each guess is a new one.
        """
        standing = self.at(now, blocking.window_ms)
        if standing.block is not None:
            return standing
        new = Violation(now, rule, evidence if any(evidence) else b"")
        if new.evidence and any(
            (old.rule, old.evidence) == (rule, evidence) for old in standing.violations
        ):
            return standing
        violations = (*standing.violations, new)
        if len(violations) < blocking.violations:
            return replace(standing, violations=violations)
        return Standing((), Block(now, now + blocking.block_ms, reason=rule.value), fresh=True)
