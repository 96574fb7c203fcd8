"""A store that any number of processes share: Redis or Valkey, 7 or later.

What policy/account.py, policy/tries.py and policy/standing.py do to what they
keep, the scripts in policy/redis/lua do to what is kept here, each in one step. Time is
the server's.

    PREFIX:{USER}:q              charges: 38 bytes each, one string
    PREFIX:{USER}:r:REQUEST      sealed result, after until when it is one
    PREFIX:{USER}:t              recent tries: 17 bytes each
    PREFIX:{USER}:b              how the user stands
    PREFIX:{a:ADDRESS}:b         how an address stands
    PREFIX:blocks                whose blocks there are, by their end

All that is of one user is in one slot of a cluster. Keys end a minute or more
after what they hold has ended: whether it has is told by the times stored in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.account import Account
from policy.decisions import (
    Answer,
    Blocked,
    Committed,
    InProgress,
    Inspection,
    ListedBlock,
    Lost,
    Observation,
    Refused,
    Release,
    Replayed,
    Reserved,
    Reused,
)
from policy.limits import DAY_MS, Limit, Verdict
from policy.redis import checks as redis_checks, codec, stats as redis_stats
from policy.redis.runner import Runner, wall_clock
from policy.redis.scripts import Scripts, load_scripts
from policy.redis.standings import Standings
from policy.standing import Block, Offender, Party, Standing
from serving import store_calls
from serving.redis.link import Client, Link, both
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from policy.account import Sealed
    from policy.decisions import Attempt, CommitOutcome, Decision, Stats, Usage
    from policy.limits import Limits
    from policy.rules import Rule
    from policy.standing import Blocking
    from policy.tries import Memory, TryKind
    from serving.clock import Clock

_LIMITS = (
    Limit.TOKENS_PER_HOUR,
    Limit.TOKENS_PER_DAY,
    Limit.COOLDOWN,
    Limit.CONCURRENT_SESSIONS,
)
_BLOCKED_USER, _BLOCKED_ADDRESS, _RESERVED, _REPEATED = range(1, 5)
_REFUSED, _BUSY, _REUSED, _REPLAYED = range(5, 9)
_COMMITTED = 2
_RELEASES = {1: Release.NOTHING, 2: Release.RELEASED, 3: Release.KEPT}


class RedisStore:
    """Keeps everything in Redis. Fails closed: whatever goes wrong is StoreUnavailable."""

    def __init__(
        self,
        client: Client,
        *,
        lease_ms: int,
        clock: Clock | None = None,
        wall: Clock = wall_clock,
        prefix: str = "lt",
        timeout_ms: int = 400,
        max_calls: int = 16,
        wait_replicas: int = 0,
        wait_ms: int = 100,
        allow_eviction: bool = False,
        names: bytes = b"1",
        scripts: Scripts | None = None,
    ) -> None:
        """Use `client`, which open_redis made; it stays the caller's to close.

        A reservation not committed in `lease_ms` is given back. `clock` is for
        tests: without it the server's counts, if `wall` agrees to a minute. No
        operation takes longer than `timeout_ms`, and no more than `max_calls` run
        at a time, for which the client needs as many connections. Commits wait
        `wait_ms` for `wait_replicas` to have them. `names` tells the key that users
        are named by from another: two on one store would give each user two quotas.
        """
        if wait_replicas and not 0 < wait_ms < timeout_ms:
            raise ValueError("waiting for replicas must be shorter than the store's timeout")
        self._link = Link(client, timeout_ms=timeout_ms, calls=max_calls)
        self._runner = Runner(self._link, clock=clock, wall=wall)
        self._keys = codec.Keys(prefix)
        self._scripts = scripts or load_scripts()
        self._standings = Standings(self._runner, self._keys, self._scripts)
        self._lease_ms = lease_ms
        self._wait = {"replicas": wait_replicas, "ms": wait_ms}
        self._allow_eviction = allow_eviction
        self._names = names
        self._marked = False

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
        return await self._link.within(
            self._reserve(attempt, fingerprint, count, limits, address, memory), "reserve"
        )

    async def _reserve(  # noqa: PLR0917  # as reserve has them
        self,
        attempt: Attempt,
        fingerprint: bytes,
        count: int,
        limits: Limits,
        address: str | None,
        memory: Memory,
    ) -> Answer:
        keys = [
            self._keys.charges(attempt.user),
            self._keys.result(attempt.user, attempt.request),
            self._keys.tries(attempt.user),
            self._keys.standing(Offender(Party.USER, attempt.user)),
        ]
        where = Offender(Party.ADDRESS, address or "")
        apart = bool(address) and self._link.clustered
        if address and not apart:
            keys.append(self._keys.standing(where))  # one server, one script: it sees both
        asked = self._runner.run(
            self._scripts.reserve,
            keys,
            attempt.request,
            attempt.owner,
            fingerprint,
            count,
            self._lease_ms,
            limits.tokens_per_hour,
            limits.tokens_per_day,
            limits.cooldown_ms,
            limits.concurrent_sessions,
            memory.window_ms,
            memory.most,
        )
        if apart:
            return await self._reserve_apart(attempt, asked, where, limits)
        return await self._answer(attempt, await asked, where, limits)

    async def _reserve_apart(
        self,
        attempt: Attempt,
        asked: Coroutine[Any, Any, list[Any]],
        where: Offender,
        limits: Limits,
    ) -> Answer:
        """Reserve where the address's standing may be another server's: ask both at once.

        Is the address blocked, what was done for it is undone. Until then, a
        millisecond perhaps, other attempts of the same user may have to wait; if
        we die in it, the charge is given back at the end of its lease.
        """
        reply, packed = await both(asked, self._link.get(self._keys.standing(where)))
        block = codec.standing(packed).block
        if block is None or not block.holds(reply[1]):
            return await self._answer(attempt, reply, where, limits)
        if reply[0] == _RESERVED:
            await self._release(attempt, limits, ambiguous=False)
        elif reply[0] >= _REFUSED:
            await self._runner.run(
                self._scripts.retract, [self._keys.tries(attempt.user)], reply[3]
            )
        return Answer(Blocked(where, block, reply[1]))

    async def _answer(
        self, attempt: Attempt, reply: list[Any], where: Offender, limits: Limits
    ) -> Answer:
        code, raw, *rest = reply
        if code in (_BLOCKED_USER, _BLOCKED_ADDRESS):
            who = where if code == _BLOCKED_ADDRESS else Offender(Party.USER, attempt.user)
            block = codec.standing(rest[0]).block
            assert block is not None  # noqa: S101  # the script found one
            return Answer(Blocked(who, block, raw))
        if code in (_RESERVED, _REPEATED):
            return Answer(Reserved(rest[0]))
        now, tries = rest[0], codec.tries(rest[1])
        decision: Decision
        if code == _REFUSED:
            limit, opens = _LIMITS[rest[2] - 1], rest[3]
            value = getattr(limits, "cooldown_ms" if limit is Limit.COOLDOWN else limit.value)
            decision = Refused(Verdict(limit, value, None if opens < 0 else opens), now)
        elif code == _BUSY:
            decision = InProgress(rest[2], now)
        elif code == _REUSED:
            decision = Reused(now)
        else:
            if self._wait["replicas"]:
                await self._wait_again(attempt.user)
            usage = Account(codec.charges(rest[3])).usage(limits, now=now)
            decision = Replayed(rest[2], usage, now)
        return Answer(decision, tries)

    async def commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        """See Store. If too few replicas have it, StoreUnavailable: asking again is safe."""
        return await self._link.within(
            self._commit(attempt, count, expires, sealed, limits), "commit"
        )

    async def _commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        keys = [
            self._keys.charges(attempt.user),
            self._keys.result(attempt.user, attempt.request),
        ]
        args = (attempt.request, attempt.owner, count, expires, sealed.until, sealed.result)
        reply = await self._runner.run_and_wait(self._scripts.commit, keys, *args, **self._wait)
        if reply[0] != _COMMITTED:
            return Lost()
        _, _, now, packed = reply
        return Committed(Account(codec.charges(packed)).usage(limits, now=now))

    async def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        """See Store."""
        return await self._link.within(
            self._release(attempt, limits, ambiguous=ambiguous), "release"
        )

    async def _release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        keys = [
            self._keys.charges(attempt.user),
            self._keys.result(attempt.user, attempt.request),
        ]
        args = (attempt.request, attempt.owner, int(ambiguous), limits.refunds_per_hour)
        return _RELEASES[(await self._runner.run(self._scripts.release, keys, *args))[0]]

    async def usage(self, user: str, limits: Limits) -> Usage:
        """See Store."""
        reply = await self._link.within(
            self._runner.run(self._scripts.read, [self._keys.charges(user)], ""), "usage"
        )
        return Account(codec.charges(reply[2])).usage(limits, now=reply[1])

    async def observe(
        self, user: str, kind: TryKind, fingerprint: bytes, memory: Memory
    ) -> Observation:
        """See Store."""
        args = (int(kind), fingerprint, memory.window_ms, memory.most)
        reply = await self._link.within(
            self._runner.run(self._scripts.observe, [self._keys.tries(user)], *args), "observe"
        )
        return Observation(reply[1], codec.tries(reply[2]))

    async def offend(
        self, offender: Offender, rule: Rule, blocking: Blocking, *, evidence: bytes = b""
    ) -> Standing:
        """See Store."""
        return await self._link.within(
            self._standings.offend(offender, rule, blocking, evidence), "offend"
        )

    async def inspect(self, user: str, address: str | None) -> Inspection:
        """See Store."""
        return await self._link.within(self._inspect(user, address), "inspect")

    async def _inspect(self, user: str, address: str | None) -> Inspection:
        where = self._keys.standing(Offender(Party.ADDRESS, address or ""))
        keys = [
            self._keys.charges(user),
            self._keys.tries(user),
            self._keys.standing(Offender(Party.USER, user)),
        ]
        if self._link.clustered:
            asked = self._runner.run(self._scripts.read, keys, self._keys.results(user))
            (_, now, *found), theirs = await both(asked, self._link.get(where))
        else:
            reply = await self._runner.run(
                self._scripts.read, [*keys, where], self._keys.results(user)
            )
            _, now, *found = reply
            theirs = found.pop(3)
        return Inspection(
            now,
            codec.account(found[0], found[3:]),
            codec.tries(found[1]),
            codec.standing(found[2]).at(now, DAY_MS),
            codec.standing(theirs).at(now, DAY_MS),
        )

    async def block(self, offender: Offender, *, until: int, reason: str, actor: str) -> Block:
        """See Store."""
        return await self._link.within(
            self._standings.block(offender, until, reason, actor), "block"
        )

    async def lift(self, offender: Offender) -> bool:
        """See Store."""
        return await self._link.within(self._standings.lift(offender), "lift")

    async def blocks(self, *, offset: int, count: int) -> Sequence[ListedBlock]:
        """See Store."""
        with store_calls.called(store_calls.REDIS, "blocks"):
            return await self._standings.blocks(offset, count)

    async def forget(self, user: str) -> None:
        """See Store."""
        await self._link.within(self._forget(user), "forget")

    async def _forget(self, user: str) -> None:
        offender = Offender(Party.USER, user)
        keys = [
            self._keys.charges(user),
            self._keys.tries(user),
            self._keys.standing(offender),
        ]
        await self._standings.unlist(offender)  # first: see `Standings.lift`
        await self._runner.run(self._scripts.forget, keys, self._keys.results(user))

    async def stats(self) -> Stats:
        """See Store. Walks over all keys: for operators, not for the hot path."""
        with store_calls.called(store_calls.REDIS, "stats"):
            _, now = await self._link.within(self._runner.run(self._scripts.read, [], ""))
            return await redis_stats.stats(self._link, self._keys.prefix, now)

    async def check(self) -> None:
        """See Store."""
        await self._link.within(
            redis_checks.check(
                self._link,
                self._keys.probe,
                self._names,
                allow_eviction=self._allow_eviction,
                marked=self._marked,
            ),
            "check",
        )
        self._marked = True
        # Any script: it compares the clocks.
        await self._link.within(self._runner.run(self._scripts.read, [], ""))

    async def _wait_again(self, user: str) -> None:
        # A repeat may go out only if replicas have what it repeats: its commit may have
        # failed to wait for them.
        reply = await self._runner.run_and_wait(
            self._scripts.touch, [self._keys.charges(user)], **self._wait
        )
        if not reply[2]:
            raise StoreUnavailable("the user's charges are gone")
