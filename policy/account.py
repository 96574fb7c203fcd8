"""One user's log of charges, and what can happen to it. No I/O, no clock.

A charge is pending from its reservation until it is committed, released, or its
lease runs out; then it is issued, or was never there. Committing moves it to
the moment of the commit: windows and cooldown count from when a token was
issued, and with pending charges counted as well, no window of issued tokens
ever holds more than the limit (docs/quota.md has the argument).

This is what the memory store runs, and what the scripts of the Redis store are
held to, call for call, by tests/contract/policy_stores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from policy import limits as arithmetic
from policy.decisions import (
    Attempt,
    CommitOutcome,
    Committed,
    Decision,
    InProgress,
    Lost,
    Refused,
    Release,
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.limits import DAY_MS, HOUR_MS, Limits, Spend

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STANDSTILL_MS = 60_000
"""A clock that steps back by no more than this stands still; by more, it is believed."""


NOBODY = bytes(8)
"""The owner of a charge that stays although it was released: a commit of it is lost."""


class State(IntEnum):
    """What became of a charge."""

    PENDING = 1
    ISSUED = 2
    REFUNDED = 3
    """Given back although a token may have been made. Counts as nothing but a refund."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Tokens that were reserved together."""

    at: int
    """When they were reserved; from the commit on, issued."""
    expires: int
    """When the last of them expires; while pending, when the lease does."""
    count: int
    state: State
    request: bytes
    """12 bytes."""
    owner: bytes
    """8 bytes."""
    fingerprint: bytes
    """4 bytes."""

    @property
    def pending(self) -> bool:
        """Whether it still waits for its commit."""
        return self.state is State.PENDING

    @property
    def counts_until(self) -> int:
        """From when on it matters to nothing."""
        match self.state:
            case State.PENDING:
                return self.expires
            case State.REFUNDED:
                return self.at + HOUR_MS
            case State.ISSUED:
                return max(self.at + DAY_MS, self.expires)

    def not_after(self, now: int) -> Charge:
        """Return it as it would be had it happened no later than `now`."""
        ahead = self.at - now
        if ahead <= 0:
            return self
        return replace(self, at=now, expires=self.expires - (ahead if self.pending else 0))


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a repeat of a request is answered with."""

    result: bytes
    until: int


class Account:
    """One user's charges, oldest first, and sealed results by request.

    Every method takes the time of its clock, which may step: see `STANDSTILL_MS`.
    """

    __slots__ = ("charges", "sealed")

    def __init__(
        self, charges: Iterable[Charge] = (), sealed: Mapping[bytes, Sealed] | None = None
    ) -> None:
        """Start from `charges`, oldest first."""
        self.charges: list[Charge] = list(charges)
        self.sealed: dict[bytes, Sealed] = dict(sealed or {})

    def settle(self, now: int) -> int:
        """Bring the log and the clock into line, forget what no longer counts; return the time.

        A lease that has run out gives back by being forgotten.
        """
        newest = self.charges[-1].at if self.charges else now
        if newest - now > STANDSTILL_MS:
            self.charges = [charge.not_after(now) for charge in self.charges]
        now = self.time(now)
        self.charges = [charge for charge in self.charges if now < charge.counts_until]
        self.sealed = {key: kept for key, kept in self.sealed.items() if now < kept.until}
        return now

    def time(self, now: int) -> int:
        """Return `now`, or the newest charge's time if the clock is only a little behind it."""
        newest = self.charges[-1].at if self.charges else now
        return newest if 0 < newest - now <= STANDSTILL_MS else now

    def reserve(
        self,
        attempt: Attempt,
        fingerprint: bytes,
        count: int,
        limits: Limits,
        *,
        now: int,
        lease_ms: int,
    ) -> Decision:
        """Charge `count` tokens, all or none."""
        now = self.settle(now)
        known = self._known(attempt.request)
        if known is not None:
            return self._repeat(known, attempt, fingerprint, limits, now)
        verdict = arithmetic.refusal(self.spends, count, limits, now)
        if verdict is not None:
            return Refused(verdict, now)
        lease = now + lease_ms
        self.charges.append(
            Charge(now, lease, count, State.PENDING, attempt.request, attempt.owner, fingerprint)
        )
        return Reserved(lease)

    def commit(
        self,
        attempt: Attempt,
        count: int,
        expires: int,
        sealed: Sealed,
        limits: Limits,
        *,
        now: int,
    ) -> CommitOutcome:
        """Make `count` of what was reserved final, as of now. Repeating it changes nothing."""
        now = self.settle(now)
        charge = self._owned(attempt)
        if charge is None or charge.state is State.REFUNDED or count > charge.count:
            return Lost()
        if charge.pending:
            self.charges.remove(charge)
            self.charges.append(
                replace(charge, at=now, expires=expires, count=count, state=State.ISSUED)
            )
            self.sealed.pop(attempt.request, None)
            if now < sealed.until:
                self.sealed[attempt.request] = sealed
        return Committed(self.usage(limits, now=now))

    def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool, now: int) -> Release:
        """Give a pending charge back, once; an ambiguous one within the budget of refunds."""
        now = self.settle(now)
        charge = self._owned(attempt)
        if charge is None or not charge.pending:
            return Release.NOTHING
        place = self.charges.index(charge)
        refunds = sum(charge.state is State.REFUNDED for charge in self.charges)
        if ambiguous and refunds >= limits.refunds_per_hour:
            self.charges[place] = replace(
                charge, state=State.ISSUED, expires=charge.at, owner=NOBODY
            )
            self.sealed.pop(attempt.request, None)
            return Release.KEPT
        del self.charges[place]
        if ambiguous:
            self.charges.append(replace(charge, at=now, expires=now, count=0, state=State.REFUNDED))
        return Release.RELEASED

    def usage(self, limits: Limits, *, now: int) -> Usage:
        """Read what was issued. Changes nothing."""
        settled = Account(self.charges)
        now = settled.settle(now)
        issued = [charge for charge in settled.charges if charge.state is State.ISSUED]
        verdict = arithmetic.refusal(settled.spends, 1, limits, now)
        by_limit = arithmetic.assess(settled.spends, 1, limits, now)
        return Usage(
            active_tokens=sum(charge.count for charge in issued if now < charge.expires),
            tokens_last_hour=sum(charge.count for charge in issued if now < charge.at + HOUR_MS),
            tokens_last_day=sum(charge.count for charge in issued if now < charge.at + DAY_MS),
            next_allowed_at=verdict.next_allowed_at if verdict else None,
            by_limit=tuple(by_limit),
            now=now,
        )

    @property
    def spends(self) -> list[Spend]:
        """What counts against the limits, oldest first."""
        return [
            Spend(charge.at, charge.count, charge.expires, charge.pending)
            for charge in self.charges
            if charge.state is not State.REFUNDED
        ]

    def _known(self, request: bytes) -> Charge | None:
        """Find what an earlier attempt left, while it can still be answered with."""
        return next(
            (
                charge
                for charge in reversed(self.charges)
                if charge.request == request
                and (charge.pending or (charge.state is State.ISSUED and request in self.sealed))
            ),
            None,
        )

    def _repeat(
        self, known: Charge, attempt: Attempt, fingerprint: bytes, limits: Limits, now: int
    ) -> Decision:
        if known.fingerprint != fingerprint:
            return Reused(now)
        if not known.pending:
            sealed = self.sealed[attempt.request]
            return Replayed(sealed.result, self.usage(limits, now=now), now)
        if known.owner == attempt.owner:
            return Reserved(known.expires)
        return InProgress(known.expires, now)

    def _owned(self, attempt: Attempt) -> Charge | None:
        return next(
            (
                charge
                for charge in reversed(self.charges)
                if charge.request == attempt.request and charge.owner == attempt.owner
            ),
            None,
        )
