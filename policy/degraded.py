"""What happens when the shared store is away, decided in one place.

Fail closed, the default, needs no code: a StoreUnavailable is no decision, and
no decision is no token. This is the other choice, `POLICY_ON_STORE_FAILURE=degraded`:
reservations are granted from this process's own memory within reduced limits.
Each process starts from nothing whenever the store goes away, so a user can be
issued the reduced limits once for each process, and each outage, on top of what
the store has charged (docs/failures.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from policy.store import Store, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policy.account import Sealed
    from policy.decisions import (
        Answer,
        Attempt,
        CommitOutcome,
        Inspection,
        ListedBlock,
        Observation,
        Release,
        Stats,
        Usage,
    )
    from policy.effective import EffectivePolicy
    from policy.limits import Limits
    from policy.memory import MemoryStore
    from policy.rules import Rule
    from policy.standing import Block, Blocking, Offender, Standing
    from policy.tries import Memory, TryKind

log = structlog.get_logger(__name__)


class DegradingStore(Store):
    """A shared store, and what this process does alone while that is away.

    Only reservations are made alone, with their commits and releases. What needs
    the shared store's knowledge (usage, blocks, violations) is still refused.
    """

    def __init__(
        self, shared: Store, alone: MemoryStore, reduced: Callable[[Limits], Limits]
    ) -> None:
        """Use `shared`; while it is away decide in `alone` by `reduced` limits."""
        self._shared = shared
        self._alone = alone
        self._reduced = reduced

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
        try:
            return await self._shared.reserve(
                attempt, fingerprint, count, limits, address=address, memory=memory
            )
        except StoreUnavailable as error:
            log.warning("deciding alone", cause=str(error))
            answer = await self._alone.reserve(
                attempt, fingerprint, count, self._reduced(limits), address=address, memory=memory
            )
            return replace(answer, degraded=True)

    async def commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        """See Store. What was reserved in a store is committed there, or not at all."""
        return await self._holder(attempt).commit(attempt, count, expires, sealed, limits)

    async def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        """See Store."""
        return await self._holder(attempt).release(attempt, limits, ambiguous=ambiguous)

    async def usage(self, user: str, limits: Limits) -> Usage:
        """See Store."""
        return await self._shared.usage(user, limits)

    async def observe(
        self, user: str, kind: TryKind, fingerprint: bytes, memory: Memory
    ) -> Observation:
        """See Store."""
        return await self._shared.observe(user, kind, fingerprint, memory)

    async def offend(self, offender: Offender, rule: Rule, blocking: Blocking) -> Standing:
        """See Store."""
        return await self._shared.offend(offender, rule, blocking)

    async def inspect(self, user: str, address: str | None) -> Inspection:
        """See Store."""
        return await self._shared.inspect(user, address)

    async def block(self, offender: Offender, *, until: int, reason: str, actor: str) -> Block:
        """See Store."""
        return await self._shared.block(offender, until=until, reason=reason, actor=actor)

    async def lift(self, offender: Offender) -> bool:
        """See Store."""
        return await self._shared.lift(offender)

    async def blocks(self, *, offset: int, count: int) -> Sequence[ListedBlock]:
        """See Store."""
        return await self._shared.blocks(offset=offset, count=count)

    async def forget(self, user: str) -> None:
        """See Store."""
        await self._alone.forget(user)
        await self._shared.forget(user)

    async def stats(self) -> Stats:
        """See Store."""
        return await self._shared.stats()

    async def check(self) -> None:
        """See Store. It can decide, one way or the other."""

    def _holder(self, attempt: Attempt) -> Store:
        return self._alone if self._alone.holds(attempt) else self._shared


def reduced_by(policy: EffectivePolicy, limits: Limits) -> Limits:
    """Return the degraded limits of the tier that has these limits; of several, the strictest."""
    tiers = (policy.default, *policy.tiers.values())
    return min(
        (tier.degraded_limits for tier in tiers if tier.limits == limits),
        key=lambda reduced: (reduced.tokens_per_hour, reduced.tokens_per_day),
        default=policy.default.degraded_limits,
    )
