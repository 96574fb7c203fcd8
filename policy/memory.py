"""A store for one process: exact, bounded, and gone when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from policy.account import Account, State
from policy.decisions import (
    Answer,
    Blocked,
    Inspection,
    ListedBlock,
    Observation,
    Stats,
)
from policy.limits import DAY_MS, HOUR_MS
from policy.standing import Block, Offender, Party, Standing
from policy.store import StoreUnavailable
from policy.tries import Memory, Try, TryKind, added, tried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.account import Sealed
    from policy.decisions import Attempt, CommitOutcome, Release, Usage
    from policy.limits import Limits
    from policy.rules import Rule
    from policy.standing import Blocking
    from serving.clock import Clock

_SWEEP = 2
"""Accounts looked at on each reservation: more than the one it may add, so idle
users leave faster than new ones come."""

_LONGEST_WINDOW_MS = DAY_MS
"""No rule's window is longer: what is older counts for none."""


class MemoryStore:
    """Keeps accounts in a dict.

    No method awaits between reading and writing, so on one event loop each is
    atomic. Users with nothing left to count are forgotten. At `max_users` a new
    one is turned away: dropping somebody's charges would let them be overspent.
    Of tries and standings as many are kept, the most recent; a block in force
    goes last.
    """

    def __init__(self, clock: Clock, *, lease_ms: int, max_users: int = 200_000) -> None:
        """Read time from `clock`; a reservation not committed in `lease_ms` is given back."""
        self._clock = clock
        self._lease_ms = lease_ms
        self._max_users = max_users
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._tries: OrderedDict[str, tuple[Try, ...]] = OrderedDict()
        self._standings: OrderedDict[Offender, Standing] = OrderedDict()

    def __len__(self) -> int:
        """Return how many users have an account."""
        return len(self._accounts)

    async def reserve(
        self,
        attempt: Attempt,
        fingerprint: bytes,
        count: int,
        limits: Limits,
        *,
        address: str | None,
        memory: Memory,
    ) -> Answer:
        """See Store."""
        now = self._clock()
        blocked = self._blocked(attempt.user, address, now)
        if blocked is not None:
            return Answer(blocked)
        self._sweep(now)
        account = self._accounts.get(attempt.user)
        if account is None:
            if len(self._accounts) >= self._max_users:
                raise StoreUnavailable(f"the memory store is full at {self._max_users} users")
            account = Account()
        decision = account.reserve(
            attempt, fingerprint, count, limits, now=now, lease_ms=self._lease_ms
        )
        new = tried(decision, fingerprint)
        if new is not None:
            return Answer(decision, self._remember(attempt.user, new, memory))
        self._accounts[attempt.user] = account
        self._accounts.move_to_end(attempt.user)
        return Answer(decision)

    async def commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        """See Store."""
        return self._account(attempt.user).commit(
            attempt, count, expires, sealed, limits, now=self._clock()
        )

    async def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        """See Store."""
        account = self._account(attempt.user)
        outcome = account.release(attempt, limits, ambiguous=ambiguous, now=self._clock())
        if not account.charges:
            # The sweep may stand behind a user of a day: while no mint succeeds,
            # nobody else's failed one shall fill the store.
            self._accounts.pop(attempt.user, None)
        return outcome

    async def usage(self, user: str, limits: Limits) -> Usage:
        """See Store."""
        return self._account(user).usage(limits, now=self._clock())

    async def observe(
        self, user: str, kind: TryKind, fingerprint: bytes, memory: Memory
    ) -> Observation:
        """See Store."""
        now = self._clock()
        return Observation(now, self._remember(user, Try(now, 0, kind, fingerprint), memory))

    async def offend(self, offender: Offender, rule: Rule, blocking: Blocking) -> Standing:
        """See Store."""
        standing = self._standing(offender).after(rule, self._clock(), blocking)
        self._stand(offender, standing)
        return standing

    async def inspect(self, user: str, address: str | None) -> Inspection:
        """See Store."""
        now = self._clock()
        account = self._account(user)
        return Inspection(
            now,
            Account(account.charges, account.sealed),
            self._tries.get(user, ()),
            self._standing(Offender(Party.USER, user)).at(now, _LONGEST_WINDOW_MS),
            self._standing(Offender(Party.ADDRESS, address or "")).at(now, _LONGEST_WINDOW_MS),
        )

    async def block(self, offender: Offender, *, until: int, reason: str, actor: str) -> Block:
        """See Store."""
        block = Block(self._clock(), until, reason, actor)
        self._stand(offender, Standing((), block))
        return block

    async def lift(self, offender: Offender) -> bool:
        """See Store."""
        standing = self._standings.pop(offender, Standing())
        return standing.block is not None and standing.block.holds(self._clock())

    async def blocks(self, *, offset: int, count: int) -> Sequence[ListedBlock]:
        """See Store."""
        now = self._clock()
        listed = [
            ListedBlock(offender, standing.block)
            for offender, standing in self._standings.items()
            if standing.block is not None and standing.block.holds(now)
        ]
        listed.sort(key=lambda item: (-item.block.until, item.offender.name))
        return listed[offset : offset + count]

    async def forget(self, user: str) -> None:
        """See Store."""
        self._accounts.pop(user, None)
        self._tries.pop(user, None)
        self._standings.pop(Offender(Party.USER, user), None)

    async def stats(self) -> Stats:
        """See Store. Walks over all users: for operators, not for the hot path."""
        now = self._clock()
        live = [
            [charge for charge in account.charges if now < charge.counts_until]
            for account in self._accounts.values()
        ]
        issued = [c for charges in live for c in charges if c.state is State.ISSUED]
        return Stats(
            active_users=sum(
                any(c.state is State.ISSUED and now < c.at + DAY_MS for c in charges)
                for charges in live
            ),
            active_tokens=sum(c.count for c in issued if now < c.expires),
            tokens_last_hour=sum(c.count for c in issued if now < c.at + HOUR_MS),
            tokens_last_day=sum(c.count for c in issued if now < c.at + DAY_MS),
            pending_reservations=sum(c.pending for charges in live for c in charges),
        )

    async def check(self) -> None:
        """See Store."""

    def holds(self, attempt: Attempt) -> bool:
        """Whether it knows of a charge of this attempt."""
        return any(
            charge.request == attempt.request and charge.owner == attempt.owner
            for charge in self._account(attempt.user).charges
        )

    def _account(self, user: str) -> Account:
        return self._accounts.get(user) or Account()

    def _standing(self, offender: Offender) -> Standing:
        return self._standings.get(offender, Standing())

    def _blocked(self, user: str, address: str | None, now: int) -> Blocked | None:
        for offender in (Offender(Party.ADDRESS, address or ""), Offender(Party.USER, user)):
            block = self._standing(offender).block
            if block is not None and block.holds(now):
                return Blocked(offender, block, now)
        return None

    def _remember(self, user: str, new: Try, memory: Memory) -> tuple[Try, ...]:
        tries = self._tries[user] = added(self._tries.get(user, ()), new, memory)
        self._tries.move_to_end(user)
        if len(self._tries) > self._max_users:
            self._tries.popitem(last=False)
        return tries

    def _stand(self, offender: Offender, standing: Standing) -> None:
        self._standings[offender] = standing
        self._standings.move_to_end(offender)
        if len(self._standings) > self._max_users:
            now = self._clock()
            self._standings.pop(
                next(
                    (o for o, s in self._standings.items() if not (s.block and s.block.holds(now))),
                    next(iter(self._standings)),
                )
            )

    def _sweep(self, now: int) -> None:
        """Forget users with nothing left to count, starting with the longest idle."""
        for _ in range(min(_SWEEP, len(self._accounts))):
            user, account = next(iter(self._accounts.items()))
            account.settle(now)
            if account.charges:
                break
            del self._accounts[user]
        for _ in range(min(_SWEEP, len(self._tries))):
            user, tries = next(iter(self._tries.items()))
            if now < tries[-1].at + _LONGEST_WINDOW_MS:
                break
            del self._tries[user]
