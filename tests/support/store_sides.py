"""Stores and the plain model behind one face, for one user: plain answers that compare."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

from policy.account import Account, Sealed, State
from policy.decisions import (
    Attempt,
    Blocked,
    Committed,
    InProgress,
    Refused,
    Replayed,
    Reserved,
    Reused,
)
from policy.limits import Limits
from policy.redis import codec
from policy.redis.store import RedisStore
from policy.rules import Rule
from policy.standing import Blocking, Offender, Party, Standing
from policy.tries import Memory, TryKind, added, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from store_plain_model import PlainModel, Rules

    from policy.decisions import Decision, Usage
    from policy.memory import MemoryStore
    from policy.tries import Try

ADDRESS = "an-address-pseud"
REMEMBERED = Memory(window_ms=20_000, most=3)
BLOCKING = Blocking(violations=2, window_ms=30_000, block_ms=45_000)

Plain = tuple[object, ...]


@dataclass
class Known:
    """All that a side knows, but what time alone has made meaningless."""

    charges: bytes
    seals: dict[bytes, tuple[bytes, int]]
    tries: tuple[Try, ...] = ()
    user: Standing = field(default_factory=Standing)
    address: Standing = field(default_factory=Standing)


def counted(usage: Usage) -> Plain:
    """Return the numbers of a usage."""
    return (
        usage.active_tokens,
        usage.tokens_last_hour,
        usage.tokens_last_day,
        usage.next_allowed_at,
    )


def plain(decision: Decision | Blocked) -> Plain:
    """Return what a decision says, in plain values."""
    match decision:
        case Reserved(lease_until):
            return ("reserved", lease_until)
        case Refused(verdict, now):
            return (
                "refused",
                verdict.limit.value,
                verdict.value,
                verdict.next_allowed_at,
                now,
            )
        case InProgress(lease_until, now):
            return ("in progress", lease_until, now)
        case Reused(now):
            return ("reused", now)
        case Replayed(result, usage, now):
            return ("replayed", result, counted(usage), now)
        case Blocked():
            return ("blocked", *astuple(decision))


class StoreSide:
    """A store, asked about one user."""

    def __init__(
        self, store: MemoryStore | RedisStore, user: str, rules: Rules, clock: Callable[[], int]
    ) -> None:
        self.store = store
        self.user = user
        self.clock = clock
        self.limits = Limits(
            tokens_per_hour=rules.hour,
            tokens_per_day=rules.day,
            cooldown_ms=rules.cooldown,
            concurrent_sessions=rules.sessions,
            refunds_per_hour=rules.refunds,
        )

    def _attempt(self, request: bytes, owner: bytes) -> Attempt:
        return Attempt(self.user, request, owner)

    async def reserve(
        self, request: bytes, owner: bytes, content: bytes, count: int, address: str | None
    ) -> Plain:
        """Reserve; the tries that come with the answer are part of it."""
        answer = await self.store.reserve(
            self._attempt(request, owner),
            content,
            count,
            self.limits,
            address=address,
            memory=REMEMBERED,
        )
        return (*plain(answer.decision), answer.tries)

    async def commit(
        self, request: bytes, owner: bytes, count: int, expires: int, until: int
    ) -> Plain:
        """Commit."""
        sealed = Sealed(b"sealed for " + owner, until)
        outcome = await self.store.commit(
            self._attempt(request, owner), count, expires, sealed, self.limits
        )
        if isinstance(outcome, Committed):
            return ("committed", counted(outcome.usage))
        return ("lost",)

    async def release(self, request: bytes, owner: bytes, *, ambiguous: bool) -> str:
        """Release."""
        attempt = self._attempt(request, owner)
        return (await self.store.release(attempt, self.limits, ambiguous=ambiguous)).value

    async def usage(self) -> Plain:
        """Read the user's usage."""
        return counted(await self.store.usage(self.user, self.limits))

    async def observe(self, content: bytes) -> Plain:
        """Remember a try."""
        return astuple(await self.store.observe(self.user, TryKind.REJECTED, content, REMEMBERED))

    def _offender(self, party: Party) -> Offender:
        return Offender(party, self.user if party is Party.USER else ADDRESS)

    async def offend(self, party: Party, rule: Rule = Rule.VOLUME, evidence: bytes = b"") -> Plain:
        """Count a violation."""
        return astuple(
            await self.store.offend(self._offender(party), rule, BLOCKING, evidence=evidence)
        )

    async def block(self, party: Party, until: int) -> Plain:
        """Block."""
        offender = self._offender(party)
        return astuple(await self.store.block(offender, until=until, reason="why", actor="who"))

    async def lift(self, party: Party) -> bool:
        """Lift a block."""
        return await self.store.lift(self._offender(party))

    async def lose_standing(self, party: Party) -> None:
        """Lose a block that does not hold, and violations that are all too old to count."""
        offender = self._offender(party)
        if isinstance(self.store, RedisStore):
            key = self.store._keys.standing(offender)
            standing = codec.standing(await self.store._link.get(key))
        else:
            standing = self.store._standing(offender)
        if standing.at(self.clock(), BLOCKING.window_ms) == Standing() != standing:
            await self.lift(party)

    async def lose_old_tries(self) -> None:
        """Lose tries that are all too old to count."""
        found = (await self.store.inspect(self.user, None)).tries
        if all(each.at + REMEMBERED.window_ms <= self.clock() for each in found):
            if isinstance(self.store, RedisStore):
                key = self.store._keys.tries(self.user)
                await self.store._link.client.execute_command("DEL", key)
            else:
                self.store._tries.pop(self.user, None)

    async def blocks(self) -> Plain:
        """List blocks."""
        return tuple(astuple(each) for each in await self.store.blocks(offset=0, count=10))

    async def forget(self) -> None:
        """Forget the user."""
        await self.store.forget(self.user)

    async def known(self) -> Known:
        """Read all."""
        found = await self.store.inspect(self.user, ADDRESS)
        since = self.clock() - REMEMBERED.window_ms
        return Known(
            codec.packed(found.account.charges),
            {key: (kept.result, kept.until) for key, kept in found.account.sealed.items()},
            tuple(each for each in found.tries if since < each.at),
            found.user.at(self.clock(), BLOCKING.window_ms),
            found.address.at(self.clock(), BLOCKING.window_ms),
        )

    async def drop(self, requests: Iterable[bytes]) -> None:
        """Lose sealed results, as they are lost when their time has come."""
        if isinstance(self.store, RedisStore):
            for request in requests:
                key = self.store._keys.result(self.user, request)
                await self.store._link.client.execute_command("DEL", key)
        elif account := self.store._accounts.get(self.user):
            for request in requests:
                account.sealed.pop(request, None)

    @property
    def asks_apart(self) -> bool:
        """Whether it asks after the address on its own, while it reserves."""
        return isinstance(self.store, RedisStore) and self.store._link.clustered

    async def undone(self, request: bytes, owner: bytes, content: bytes, count: int) -> None:
        """Do what remains of an attempt that was undone: it looked at log, clock and tries."""
        assert not isinstance(self.store, RedisStore)
        block = self.store._standing(self._offender(Party.USER)).block
        if block is not None and block.holds(self.clock()):
            return  # the user's own block came first: it looked at nothing
        account = self.store._accounts.get(self.user) or Account()
        now = account.settle(self.clock())
        decision = Account(account.charges, account.sealed).reserve(
            self._attempt(request, owner), content, count, self.limits, now=now, lease_ms=1
        )
        tries = self.store._tries.get(self.user)
        if tries and (new := tried(decision, content)):
            left = added(tries, new, REMEMBERED)[:-1]
            if left:
                self.store._tries[self.user] = left
            else:
                del self.store._tries[self.user]

    async def left_ms(self) -> int:
        """Return how long the server keeps the charges, if it is one."""
        if not isinstance(self.store, RedisStore):
            return 1 << 62
        key = self.store._keys.charges(self.user)
        return int(await self.store._link.client.execute_command("PTTL", key))


class PlainSide:
    """The plain model."""

    def __init__(self, model: PlainModel) -> None:
        self.model = model

    async def reserve(
        self, request: bytes, owner: bytes, content: bytes, count: int, address: str | None
    ) -> Plain:
        """Reserve."""
        del address
        return self.model.reserve(request, owner, content, count)

    async def commit(
        self, request: bytes, owner: bytes, count: int, expires: int, until: int
    ) -> Plain:
        """Commit."""
        return self.model.commit(request, owner, count, expires, until)

    async def release(self, request: bytes, owner: bytes, *, ambiguous: bool) -> str:
        """Release."""
        return self.model.release(request, owner, ambiguous=ambiguous)

    async def usage(self) -> Plain:
        """Read the user's usage."""
        return self.model.usage()

    async def known(self) -> Known:
        """Read all."""
        charges = b"".join(
            each.at.to_bytes(6)
            + each.expires.to_bytes(6)
            + bytes([each.count, State(each.state)])
            + each.request
            + each.owner
            + each.content
            for each in self.model.entries
        )
        return Known(charges, dict(self.model.seals))

    async def drop(self, requests: Iterable[bytes]) -> None:
        """Lose sealed results."""
        for request in requests:
            self.model.seals.pop(request, None)
