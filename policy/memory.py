"""A store for one process: exact, bounded, and gone when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from policy.account import Account
from policy.decisions import Reserved, Stats
from policy.limits import DAY_MS, HOUR_MS
from policy.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.decisions import Attempt, CommitOutcome, Decision, Usage
    from policy.limits import Limits
    from serving.clock import Clock

_SWEEP = 2
"""Accounts looked at on each reservation: more than the one it may add, so idle
users leave faster than new ones come."""


class MemoryStore:
    """Keeps accounts in a dict.

    No method awaits between reading and writing, so on one event loop each is
    atomic. Users with nothing left to count are forgotten. At `max_users` a new
    one is turned away: dropping somebody's charges would let them be overspent.
    """

    def __init__(self, clock: Clock, *, lease_ms: int, max_users: int = 200_000) -> None:
        """Read time from `clock`; a reservation not committed in `lease_ms` is given back."""
        self._clock = clock
        self._lease_ms = lease_ms
        self._max_users = max_users
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def __len__(self) -> int:
        """Return how many users are known."""
        return len(self._accounts)

    async def reserve(
        self, attempt: Attempt, fingerprint: bytes, count: int, limits: Limits
    ) -> Decision:
        """See Store."""
        now = self._clock()
        self._sweep(now)
        account = self._accounts.get(attempt.user)
        if account is None:
            if len(self._accounts) >= self._max_users:
                raise StoreUnavailable(f"the memory store is full at {self._max_users} users")
            account = Account()
        decision = account.reserve(
            attempt, fingerprint, count, limits, now=now, lease_ms=self._lease_ms
        )
        if isinstance(decision, Reserved):
            self._accounts[attempt.user] = account
            self._accounts.move_to_end(attempt.user)
        return decision

    async def commit(
        self,
        attempt: Attempt,
        expires: Sequence[int],
        sealed_result: bytes,
        sealed_until: int,
        limits: Limits,
    ) -> CommitOutcome:
        """See Store."""
        return self._account(attempt.user).commit(
            attempt, expires, sealed_result, sealed_until, limits, now=self._clock()
        )

    async def release(self, attempt: Attempt) -> bool:
        """See Store."""
        account = self._account(attempt.user)
        released = account.release(attempt, now=self._clock())
        if not account.charges:
            # The sweep may stand behind a user of a day: while no mint succeeds,
            # nobody else's failed one shall fill the store.
            self._accounts.pop(attempt.user, None)
        return released

    async def usage(self, user: str, limits: Limits) -> Usage:
        """See Store."""
        return self._account(user).usage(limits, now=self._clock())

    async def stats(self) -> Stats:
        """See Store. Walks over all users: for operators, not for the hot path."""
        now = self._clock()
        live = [
            [charge for charge in account.charges if charge.counts(now)]
            for account in self._accounts.values()
        ]
        issued = [charge.spend for charges in live for charge in charges if not charge.pending]
        return Stats(
            active_users=sum(
                any(not charge.pending and now < charge.spend.at + DAY_MS for charge in charges)
                for charges in live
            ),
            active_tokens=sum(expiry > now for spend in issued for expiry in spend.expires),
            tokens_last_hour=sum(spend.count for spend in issued if now < spend.at + HOUR_MS),
            tokens_last_day=sum(spend.count for spend in issued if now < spend.at + DAY_MS),
            pending_reservations=sum(charge.pending for charges in live for charge in charges),
        )

    def _account(self, user: str) -> Account:
        return self._accounts.get(user) or Account()

    def _sweep(self, now: int) -> None:
        """Forget users with nothing left to count, starting with the longest idle."""
        for _ in range(min(_SWEEP, len(self._accounts))):
            user, account = next(iter(self._accounts.items()))
            account.forget(now)
            if account.charges:
                break
            del self._accounts[user]
