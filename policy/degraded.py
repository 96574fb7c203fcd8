"""What happens when the shared store is away, decided in one place.

Fail closed, the default, needs no code: a StoreUnavailable is no decision, and
no decision is no token. This is the other choice, `POLICY_ON_STORE_FAILURE=degraded`:
reservations are granted from this process's own memory within reduced limits.

The two never meet. What was reserved in one is committed there or not at all, and
nothing is carried over when the store is back. A process remembers what it issued
alone, also into the next outage. So in any window a user can be issued, on top of
what the store allows, the reduced limit of that window once for each process
(docs/failures.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from policy.limits import Limits
from policy.store import Store
from serving.stores import StoreUnavailable

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
    from policy.memory import MemoryStore
    from policy.rules import Rule
    from policy.standing import Block, Blocking, Offender, Standing
    from policy.tries import Memory, TryKind

log = structlog.get_logger(__name__)


class DegradingStore(Store):
    """A shared store, and what this process does alone while that is away.

    Reservations are made alone, with their commits and releases; tries are remembered
    and violations counted. What needs the shared store's knowledge (usage, blocks) is
    still refused.
    """

    def __init__(
        self, shared: Store, alone: MemoryStore, reduced: Callable[[Limits], Limits]
    ) -> None:
        """Use `shared`; while it is away decide in `alone` by `reduced` limits."""
        self._shared = shared
        self._alone = alone
        self._reduced = reduced
        self._away = ""
        """Why it is away, as the last check or the first reservation that failed since knows."""

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
        """See Store. A repeat of what is known here alone is answered here, also later."""
        if not await self._repeats(attempt):
            try:
                return await self._shared.reserve(
                    attempt, fingerprint, count, limits, address=address, memory=memory
                )
            except StoreUnavailable as error:
                self._note(str(error))
        answer = await self._alone.reserve(
            attempt, fingerprint, count, self._reduced(limits), address=address, memory=memory
        )
        return replace(answer, degraded=True)

    async def commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        """See Store. What was reserved in a store is committed there, or not at all."""
        if self._alone.holds(attempt):
            limits = self._reduced(limits)
            return await self._alone.commit(attempt, count, expires, sealed, limits)
        return await self._shared.commit(attempt, count, expires, sealed, limits)

    async def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        """See Store."""
        if self._alone.holds(attempt):
            return await self._alone.release(attempt, self._reduced(limits), ambiguous=ambiguous)
        return await self._shared.release(attempt, limits, ambiguous=ambiguous)

    async def usage(self, user: str, limits: Limits) -> Usage:
        """See Store."""
        return await self._shared.usage(user, limits)

    async def observe(
        self, user: str, kind: TryKind, fingerprint: bytes, memory: Memory
    ) -> Observation:
        """See Store."""
        try:
            return await self._shared.observe(user, kind, fingerprint, memory)
        except StoreUnavailable as error:
            self._note(str(error))
        observation = await self._alone.observe(user, kind, fingerprint, memory)
        return replace(observation, degraded=True)

    async def offend(
        self, offender: Offender, rule: Rule, blocking: Blocking, *, evidence: bytes = b""
    ) -> Standing:
        """See Store. Counted alone, it blocks whom this process would decide on alone.

        The caller still waits, and may have waited for the store already: not again.
        """
        if not self._away:
            try:
                return await self._shared.offend(offender, rule, blocking, evidence=evidence)
            except StoreUnavailable as error:
                self._note(str(error))
        return await self._alone.offend(offender, rule, blocking, evidence=evidence)

    async def inspect(self, user: str, address: str | None) -> Inspection:
        """See Store. Alone, it is what this process knows, and says so."""
        try:
            return await self._shared.inspect(user, address)
        except StoreUnavailable as error:
            self._note(str(error))
        return replace(await self._alone.inspect(user, address), degraded=True)

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
        """See Store. It can decide, one way or the other; which way is logged when it changes."""
        try:
            await self._shared.check()
        except StoreUnavailable as error:
            self._note(str(error))
        else:
            self._note("")

    def _note(self, cause: str) -> None:
        if cause and not self._away:
            log.warning("deciding alone", cause=cause)
        elif self._away and not cause:
            log.info("deciding with the store again")
        self._away = cause

    async def _repeats(self, attempt: Attempt) -> bool:
        """Whether an attempt at the same request is under way here, or its result is kept."""
        if not len(self._alone):
            return False
        found = await self._alone.inspect(attempt.user, None)
        found.account.settle(found.now)
        under_way = any(
            charge.pending and charge.request == attempt.request for charge in found.account.charges
        )
        return under_way or attempt.request in found.account.sealed


def reduced_by(policy: EffectivePolicy, limits: Limits) -> Limits:
    """Return the degraded limits of the tier that has these limits; of several, the strictest."""
    tiers = (policy.default, *policy.tiers.values())
    found = [tier.degraded_limits for tier in tiers if tier.limits == limits]
    found = found or [policy.default.degraded_limits]
    return Limits(
        tokens_per_hour=min(each.tokens_per_hour for each in found),
        tokens_per_day=min(each.tokens_per_day for each in found),
        cooldown_ms=max(each.cooldown_ms for each in found),
        concurrent_sessions=min(
            (each.concurrent_sessions for each in found if each.concurrent_sessions), default=0
        ),
        refunds_per_hour=min(each.refunds_per_hour for each in found),
    )
