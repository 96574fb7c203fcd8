"""One user's log of charges, and what can happen to it. No I/O, no clock.

A charge is pending from its reservation until it is committed, released, or its
lease runs out; then it is issued, or was never there. Committing moves it to
the moment of the commit: windows and cooldown count from when a token was
issued, and with pending charges counted as well, no window of issued tokens
ever holds more than the limit (docs/quota.md has the argument).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.limits import DAY_MS, HOUR_MS, Limits, Spend

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Charge:
    """Tokens that were reserved together."""

    spend: Spend
    request: bytes
    owner: bytes
    fingerprint: bytes
    lease_until: int | None
    """Until when the commit may come. None: it has."""
    sealed_result: bytes = b""
    sealed_until: int = 0

    @property
    def pending(self) -> bool:
        """Whether it still waits for its commit."""
        return self.lease_until is not None

    def counts(self, now: int) -> bool:
        """Whether it still matters to anything."""
        if self.lease_until is not None:
            return now < self.lease_until
        return now < max(self.spend.at + DAY_MS, *self.spend.expires)


class Account:
    """One user's charges, oldest first."""

    __slots__ = ("charges",)

    def __init__(self, charges: Sequence[Charge] = ()) -> None:
        """Start from `charges`, oldest first."""
        self.charges: list[Charge] = list(charges)

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
        self.forget(now)
        known = self._known(attempt.request, now)
        if known is not None:
            return self._repeat(known, attempt, fingerprint, limits, now)
        verdict = arithmetic.refusal(self._spends, count, limits, now)
        if verdict is not None:
            return Refused(verdict, now)
        lease = now + lease_ms
        self.charges.append(
            Charge(
                # A pending token has no expiry yet: its place is held by the lease.
                Spend(now, (lease,) * count, pending_until=lease),
                attempt.request,
                attempt.owner,
                fingerprint,
                lease,
            )
        )
        return Reserved(lease)

    def commit(
        self,
        attempt: Attempt,
        expires: Sequence[int],
        sealed_result: bytes,
        sealed_until: int,
        limits: Limits,
        *,
        now: int,
    ) -> CommitOutcome:
        """Make a charge final, as of now. Repeating it changes nothing."""
        self.forget(now)
        charge = self._owned(attempt)
        if charge is None or len(expires) > charge.spend.count:
            return Lost()
        if charge.pending:
            self.charges.remove(charge)
            self.charges.append(
                replace(
                    charge,
                    spend=Spend(now, tuple(expires)),
                    lease_until=None,
                    sealed_result=sealed_result,
                    sealed_until=sealed_until,
                )
            )
        return Committed(self.usage(limits, now=now))

    def release(self, attempt: Attempt, *, now: int) -> bool:
        """Give a pending charge back; return whether there was one."""
        self.forget(now)
        charge = self._owned(attempt)
        if charge is None or not charge.pending:
            return False
        self.charges.remove(charge)
        return True

    def usage(self, limits: Limits, *, now: int) -> Usage:
        """Read what was issued. Changes nothing."""
        live = [charge for charge in self.charges if charge.counts(now)]
        spends = [charge.spend for charge in live]
        issued = [charge.spend for charge in live if not charge.pending]
        verdict = arithmetic.refusal(spends, 1, limits, now)
        return Usage(
            active_tokens=sum(expiry > now for spend in issued for expiry in spend.expires),
            tokens_last_hour=sum(spend.count for spend in issued if now < spend.at + HOUR_MS),
            tokens_last_day=sum(spend.count for spend in issued if now < spend.at + DAY_MS),
            next_allowed_at=verdict.next_allowed_at if verdict else None,
        )

    def forget(self, now: int) -> None:
        """Drop what no longer counts; so does a lease that ran out give back."""
        self.charges = [charge for charge in self.charges if charge.counts(now)]

    @property
    def _spends(self) -> list[Spend]:
        return [charge.spend for charge in self.charges]

    def _known(self, request: bytes, now: int) -> Charge | None:
        """Find what an earlier attempt left, while it can still be answered with."""
        return next(
            (
                charge
                for charge in self.charges
                if charge.request == request and (charge.pending or now < charge.sealed_until)
            ),
            None,
        )

    def _repeat(
        self, known: Charge, attempt: Attempt, fingerprint: bytes, limits: Limits, now: int
    ) -> Decision:
        if known.fingerprint != fingerprint:
            return Reused()
        if known.lease_until is None:
            return Replayed(known.sealed_result, self.usage(limits, now=now))
        if known.owner == attempt.owner:
            return Reserved(known.lease_until)
        return InProgress(known.lease_until, now)

    def _owned(self, attempt: Attempt) -> Charge | None:
        return next(
            (
                charge
                for charge in self.charges
                if charge.request == attempt.request and charge.owner == attempt.owner
            ),
            None,
        )
