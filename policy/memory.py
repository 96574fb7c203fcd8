"""A store for one process: exact, bounded, and gone when the process ends."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

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
from policy.tries import Memory, Try, TryKind, added, tried
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from policy.account import Charge, Sealed
    from policy.decisions import Attempt, CommitOutcome, Release, Usage
    from policy.limits import Limits
    from policy.rules import Rule
    from policy.standing import Blocking
    from serving.clock import Clock

T = TypeVar("T")

_SWEEP = 2
"""Accounts, tries and standings looked at whenever one may be added: more than that
one, so idle users leave faster than new ones come."""

_BATCH = 200
"""What a walk over everybody looks at before it lets others have a turn: about a
millisecond's worth."""

_LONGEST_WINDOW_MS = DAY_MS
"""No rule's window is longer: what is older counts for none."""


class MemoryStore:
    """Keeps accounts in a dict.

    No method awaits between reading and writing, so on one event loop each is
    atomic. Users with nothing left to count are forgotten. At `max_users` a new
    one is turned away: dropping somebody's charges would let them be overspent.
    Of users with tries, of offenders and of blocks as many are kept each, so that
    who breaks a rule is always counted, and pushes nobody out of a block.

    Walks over everybody give others a turn now and then: what changes meanwhile
    is in what they return, or not.
    """

    def __init__(self, clock: Clock, *, lease_ms: int, max_users: int = 200_000) -> None:
        """Read time from `clock`; a reservation not committed in `lease_ms` is given back."""
        self._clock = clock
        self._lease_ms = lease_ms
        self._max_users = max_users
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._tries: OrderedDict[str, tuple[Try, ...]] = OrderedDict()
        self._violations: OrderedDict[Offender, Standing] = OrderedDict()
        self._blocks: OrderedDict[Offender, Standing] = OrderedDict()

    def __len__(self) -> int:
        """Return how many users have an account."""
        return len(self._accounts)

    @property
    def offenders(self) -> int:
        """How many users and addresses are remembered for what they broke, or are blocked."""
        return len(self._violations) + len(self._blocks)

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

    async def offend(
        self, offender: Offender, rule: Rule, blocking: Blocking, *, evidence: bytes = b""
    ) -> Standing:
        """See Store."""
        standing = self._standing(offender).after(rule, self._clock(), blocking, evidence)
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
        standing = self._standing(offender)
        self._forget_standing(offender)
        return standing.block is not None and standing.block.holds(self._clock())

    async def blocks(self, *, offset: int, count: int) -> Sequence[ListedBlock]:
        """See Store."""
        now, end = self._clock(), offset + count
        # Of offenders alone: to make, and to free, as many objects as there are blocks
        # would take longer than anybody's turn.
        sorted_batches = [
            sorted((each.offender for each in self._in_force(batch, now)), key=self._by_end)
            async for batch in _batches(self._blocks)
        ]
        merged = heapq.merge(*sorted_batches, key=self._by_end)
        found: list[Offender] = []
        while more := list(islice(merged, min(_BATCH, end - len(found)))):
            found += more
            await asyncio.sleep(0)
        return list(self._in_force(found[offset:], now))

    async def forget(self, user: str) -> None:
        """See Store."""
        self._accounts.pop(user, None)
        self._tries.pop(user, None)
        self._forget_standing(Offender(Party.USER, user))

    async def stats(self) -> Stats:
        """See Store. Walks over all users: for operators, not for the hot path."""
        now, total = self._clock(), Stats(0, 0, 0, 0, 0)
        async for users in _batches(self._accounts):
            for user in users:
                total = _sum(total, self._account(user).charges, now)
        return total

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
        return self._blocks.get(offender) or self._violations.get(offender, Standing())

    def _in_force(self, offenders: Iterable[Offender], now: int) -> Iterable[ListedBlock]:
        for offender in offenders:
            block = self._standing(offender).block
            if block is not None and block.holds(now):
                yield ListedBlock(offender, block)

    def _by_end(self, offender: Offender) -> tuple[int, str]:
        block = self._standing(offender).block
        return (0 if block is None else -block.until), offender.name

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
        self._sweep_standings(self._clock())
        self._forget_standing(offender)
        kept = self._violations if standing.block is None else self._blocks
        kept[offender] = standing
        if len(kept) > self._max_users:
            kept.popitem(last=False)

    def _forget_standing(self, offender: Offender) -> None:
        self._violations.pop(offender, None)
        self._blocks.pop(offender, None)

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
        self._sweep_standings(now)

    def _sweep_standings(self, now: int) -> None:
        """Forget who has nothing left to count: no block in force, no violation of a day."""
        for _ in range(min(_SWEEP, len(self._violations))):
            offender, standing = next(iter(self._violations.items()))
            if standing.at(now, _LONGEST_WINDOW_MS).violations:
                break
            del self._violations[offender]
        for _ in range(min(_SWEEP, len(self._blocks))):
            offender, standing = self._blocks.popitem(last=False)
            if standing.block is not None and standing.block.holds(now):
                # Not in order of their ends: a long one must not hide the others.
                self._blocks[offender] = standing


def _sum(total: Stats, charges: Iterable[Charge], now: int) -> Stats:
    """Return `total` with what one user's charges come to."""
    live = [charge for charge in charges if now < charge.counts_until]
    issued = [charge for charge in live if charge.state is State.ISSUED]
    of_a_day = sum(c.count for c in issued if now < c.at + DAY_MS)
    return Stats(
        active_users=total.active_users + any(now < c.at + DAY_MS for c in issued),
        active_tokens=total.active_tokens + sum(c.count for c in issued if now < c.expires),
        tokens_last_hour=total.tokens_last_hour
        + sum(c.count for c in issued if now < c.at + HOUR_MS),
        tokens_last_day=total.tokens_last_day + of_a_day,
        pending_reservations=total.pending_reservations + sum(c.pending for c in live),
    )


async def _batches(known: OrderedDict[T, Any]) -> AsyncIterator[Sequence[T]]:
    """Return the keys that there are now, a batch at a time; others have a turn in between."""
    # Not in its own order, for which an OrderedDict hashes every key again.
    everything = list(dict.keys(known))
    for start in range(0, len(everything), _BATCH):
        yield everything[start : start + _BATCH]
        await asyncio.sleep(0)
