"""Drives a store and a model with the same calls at the same times, and compares them.

Two callers work on the same requests. Time goes both ways, and often to an exact
edge: to when a window, a lease, a cooldown, a seal or a block ends, or a
millisecond before or after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_plain_model import Rules
from store_sides import ADDRESS, BLOCKING, REMEMBERED, PlainSide, StoreSide

from policy.account import STANDSTILL_MS, State
from policy.limits import DAY_MS, HOUR_MS
from policy.redis import codec
from policy.rules import Rule
from policy.standing import Party

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any

    from store_sides import Known, Plain

    from policy.account import Charge

START = 1_767_225_600_000
REQUESTS = [b"request-%d---" % number for number in range(3)]
CONTENTS = [b"this", b"that"]
OFFENCES = [Rule.VOLUME, Rule.FAILED_CREDENTIALS]
EVIDENCE = [b"", b"", b"one ", b"two ", bytes(4)]

RULES = st.builds(
    Rules,
    hour=st.integers(1, 4),
    day=st.integers(1, 6),
    cooldown=st.sampled_from([0, 0, 5_000, 60_000, 2 * HOUR_MS]),
    sessions=st.sampled_from([0, 1, 2, 3]),
    refunds=st.integers(0, 2),
    lease=st.sampled_from([1_000, 30_000, 600_000]),
)
LASTS = st.sampled_from([1, 1_000, 120_000, HOUR_MS, 20 * HOUR_MS, DAY_MS, DAY_MS + 5_000])
FORWARD = st.sampled_from([1, 999, 5_000, 29_999, 60_000, HOUR_MS // 3, HOUR_MS, DAY_MS // 2])
BACK = st.sampled_from([1, 500, 30_000, STANDSTILL_MS - 1, STANDSTILL_MS])
FAR_BACK = st.sampled_from([STANDSTILL_MS + 1, 90_000, HOUR_MS, DAY_MS + 1, 3 * DAY_MS])
NEAR = st.sampled_from([-1, 0, 0, 1])
PICK = st.integers(0, 1 << 16)


class Pair(RuleBasedStateMachine):
    """A store and a model. Subclasses say which."""

    make: ClassVar[Callable[[Rules, Callable[[], int]], tuple[StoreSide, StoreSide | PlainSide]]]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.forward_only = True
        self.owners = 0
        self.attempts: list[tuple[bytes, bytes, bytes]] = []
        self.delivered: list[tuple[int, int, int]] = []
        self.committed: set[bytes] = set()
        self.charged = False
        self.seen: Known | None = None

    @initialize(rules=RULES)
    def begin(self, rules: Rules) -> None:
        """Begin with nothing."""
        self.limits = rules
        self.store, self.model = type(self).make(rules, lambda: self.now)

    # --- What is asked -------------------------------------------------------------------

    @rule(
        request=st.sampled_from(REQUESTS),
        content=st.sampled_from([*CONTENTS[:1] * 4, CONTENTS[1]]),
        count=st.sampled_from([1, 1, 1, 2, 3]),
        address=st.booleans(),
    )
    def reserve(self, request: bytes, content: bytes, count: int, *, address: bool) -> None:
        """Make a new attempt."""
        self.owners += 1
        owner = b"owner%03d" % self.owners
        self.attempts.append((request, owner, content))
        self._reserve(request, owner, content, count, address=address)
        self.charged = self.last[0] == "reserved"

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, count=st.integers(1, 2))
    def repeat(self, pick: int, count: int) -> None:
        """Repeat an attempt."""
        request, owner, content = self._attempt(pick)
        self._reserve(request, owner, content, count, address=False)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, count=st.sampled_from([1, 1, 2, 3]), lasts=LASTS, sealed=LASTS)
    def commit(self, pick: int, count: int, lasts: int, sealed: int) -> None:
        """Commit, mostly what is pending."""
        request, owner, _ = self._attempt(pick)
        self._commit(request, owner, count, self.now + lasts, self.now + sealed - 1)

    @rule(
        request=st.sampled_from(REQUESTS),
        count=st.sampled_from([1, 1, 2]),
        lasts=LASTS,
        sealed=LASTS,
        takes=st.sampled_from([0, 0, 1, 400, 999, 1_000]),
    )
    def issue(self, request: bytes, count: int, lasts: int, sealed: int, takes: int) -> None:
        """Reserve, mint and commit, as most do."""
        self.reserve(request, CONTENTS[0], count, address=False)
        self.now += takes
        self._commit(request, self.attempts[-1][1], count, self.now + lasts, self.now + sealed - 1)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, ambiguous=st.booleans())
    def release(self, pick: int, *, ambiguous: bool) -> None:
        """Release, mostly what is pending."""
        request, owner, _ = self._attempt(pick)
        told = self._both(lambda side: side.release(request, owner, ambiguous=ambiguous))
        self.charged = told != "nothing"

    @rule(ambiguous=st.booleans())
    def release_the_older(self, *, ambiguous: bool) -> None:
        """Release what others came after."""
        self.reserve(REQUESTS[0], CONTENTS[0], 1, address=False)
        request, owner, _ = self.attempts[-1]
        self.reserve(REQUESTS[1], CONTENTS[0], 1, address=False)
        self._both(lambda side: side.release(request, owner, ambiguous=ambiguous))

    @rule()
    def usage(self) -> None:
        """Ask a question."""
        before = self.seen
        self._both(lambda side: side.usage())
        if before is not None:
            assert self._run(self.store.known()).charges == before.charges

    @rule(count=st.integers(1, 3))
    def tight(self, count: int) -> None:
        """Come back when a refusal says: not a millisecond sooner."""
        self.reserve(b"request-new-", CONTENTS[0], count, address=False)
        told = self.last
        if told[0] == "refused" and isinstance(told[3], int):
            if not self._pending():  # what a pending charge holds may come free sooner
                self.now = told[3] - 1
                self.reserve(b"request-new-", CONTENTS[0], count, address=False)
                assert self.last[0] in {"refused", "blocked"}
            self.now = told[3]
            self.reserve(b"request-new-", CONTENTS[0], count, address=False)
            assert self.last[0] in {"reserved", "blocked"}

    # --- What time does ------------------------------------------------------------------

    @rule(by=FORWARD)
    def forward(self, by: int) -> None:
        """Let time pass."""
        self.now += by

    @rule(pick=PICK, near=NEAR)
    def to_an_edge(self, pick: int, near: int) -> None:
        """Let time pass until something ends, to the millisecond."""
        edges = sorted({edge + near for edge in self._edges() if edge + near >= self.now})
        if edges:
            # Mostly a near one: the far ones are reached through them.
            self.now = edges[pick % min(len(edges), 4)]

    @rule(by=BACK)
    def back(self, by: int) -> None:
        """Correct the clock."""
        self._lose_what_is_over(self.now)
        self.forward_only = False
        self.now -= by
        self._lose_what_is_over(self.now)

    @precondition(lambda self: self.now > START)
    @rule(by=FAR_BACK)
    def far_back(self, by: int) -> None:
        """Set back a clock that was wrong."""
        self._lose_what_is_over(self.now)
        self.forward_only = False
        self.now -= by
        self._lose_what_is_over(self.now)

    # --- What must be true ---------------------------------------------------------------

    @invariant()
    def the_same_is_known(self) -> None:
        """Find the same in both, to the byte."""
        if not hasattr(self, "limits"):
            return
        ours, theirs = self._run(self.store.known()), self._run(self.model.known())
        now = self.settled(codec.charges(ours.charges))
        issued = {
            each.request for each in codec.charges(ours.charges) if each.state is State.ISSUED
        }
        for known in (ours, theirs):
            known.seals = {
                key: (result, until)
                for key, (result, until) in known.seals.items()
                if now < until and key in issued
            }
        if now != self.now:
            # The account's time is ahead of the clock, and may come back to it.
            self._lose_what_is_over(now)
        if isinstance(self.model, PlainSide):
            # It is told nothing of addresses, and keeps no tries.
            assert (ours.charges, ours.seals) == (theirs.charges, theirs.seals)
        else:
            assert ours == theirs
        self.seen = ours

    @invariant()
    def what_counts_is_kept(self) -> None:
        """Find charges kept for a minute longer than they count."""
        if self.charged and self.seen is not None and self.seen.charges:
            until = max(each.counts_until for each in codec.charges(self.seen.charges))
            # Some real time has passed since, but no ten seconds.
            assert self._run(self.store.left_ms()) > until - self.now + 50_000
        self.charged = False

    def _lose_what_is_over(self, now: int) -> None:
        """Let go of what has ended: a store may have forgotten it, so it must not come back."""
        for side in (self.store, self.model):
            seals = self._run(side.known()).seals
            self._run(side.drop([key for key, (_, until) in seals.items() if until <= now]))
            if isinstance(side, StoreSide):
                self._run(side.lose_old_tries())

    def settled(self, charges: list[Charge]) -> int:
        """Return the time as the account has it."""
        newest = charges[-1].at if charges else self.now
        return newest if 0 < newest - self.now <= STANDSTILL_MS else self.now

    # --- How -----------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def _both(self, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        ours, theirs = self._run(ask(self.store)), self._run(ask(self.model))
        if isinstance(self.model, PlainSide) and isinstance(ours, tuple) and ours:
            ours = ours[: len(theirs)]  # without tries
        assert ours == theirs
        return ours

    def _reserve(
        self, request: bytes, owner: bytes, content: bytes, count: int, *, address: bool
    ) -> None:
        where = ADDRESS if address else None
        self.last: Plain = self._both(
            lambda side: side.reserve(request, owner, content, count, where)
        )

    def _commit(self, request: bytes, owner: bytes, count: int, expires: int, until: int) -> None:
        told = self._both(lambda side: side.commit(request, owner, count, expires, until))
        if told[0] != "committed" or owner in self.committed:
            return
        self.charged = True
        self.committed.add(owner)
        self.delivered.append((self.now, count, expires))
        if self.forward_only:
            self._nobody_got_too_much()

    def _nobody_got_too_much(self) -> None:
        """Count what was delivered, by our own list of it."""
        now, limits = self.now, self.limits
        assert sum(n for at, n, _ in self.delivered if at > now - HOUR_MS) <= limits.hour
        assert sum(n for at, n, _ in self.delivered if at > now - DAY_MS) <= limits.day
        if limits.cooldown:
            assert all(at <= now - limits.cooldown for at, _, _ in self.delivered[:-1])
        if limits.sessions:
            assert sum(n for _, n, ends in self.delivered if ends > now) <= limits.sessions

    def _attempt(self, pick: int) -> tuple[bytes, bytes, bytes]:
        """Choose an attempt: three times of four one that is pending, if there is one."""
        pending = self._pending()
        live = [attempt for attempt in self.attempts if attempt[1] in pending]
        choices = live if live and pick % 4 else self.attempts
        return choices[pick // 4 % len(choices)]

    def _pending(self) -> set[bytes]:
        """Return the owners of what is pending."""
        charges = codec.charges(self.seen.charges) if self.seen is not None else []
        return {each.owner for each in charges if each.state is State.PENDING}

    def _edges(self) -> set[int]:
        if self.seen is None:
            return set()
        edges = {until for _, until in self.seen.seals.values()}
        for each in codec.charges(self.seen.charges):
            edges |= {each.at + HOUR_MS, each.expires}
            edges |= {each.at + DAY_MS, each.at + self.limits.cooldown}
        edges |= {each.at + REMEMBERED.window_ms for each in self.seen.tries}
        return edges | self._ends_of_blocks()

    def _ends_of_blocks(self) -> set[int]:
        return set()


class AbusePair(Pair):
    """Two stores, with what is against abuse: tries, violations and blocks."""

    store: StoreSide
    model: StoreSide
    parties = st.sampled_from(list(Party))

    @rule(content=st.sampled_from(CONTENTS))
    def observe(self, content: bytes) -> None:
        """Observe a try that ended before a reservation."""
        self._both(lambda side: side.observe(content))

    @rule(party=parties, rule=st.sampled_from(OFFENCES), evidence=st.sampled_from(EVIDENCE))
    def offend(self, party: Party, rule: Rule, evidence: bytes) -> None:
        """Count a violation."""
        self._both(lambda side: side.offend(party, rule, evidence))

    @rule(party=parties, near=NEAR, evidence=st.sampled_from(EVIDENCE))
    def offend_again(self, party: Party, near: int, evidence: bytes) -> None:
        """Count a violation when the one before is as old as the window."""
        self._both(lambda side: side.offend(party, evidence=evidence))
        self.now += BLOCKING.window_ms + near
        self._both(lambda side: side.offend(party, evidence=evidence))

    @rule(party=parties, lasts=st.sampled_from([0, 1, 20_000]))
    def block(self, party: Party, lasts: int) -> None:
        """Block, as an operator does."""
        until = self.now + lasts
        self._both(lambda side: side.block(party, until))

    @precondition(lambda self: self.now > START)
    @rule(party=parties, by=st.sampled_from([STANDSTILL_MS, STANDSTILL_MS + 1, HOUR_MS]))
    def block_of_a_future(self, party: Party, by: int) -> None:
        """Block, set the clock back, and ask whether the block holds."""
        self.block(party, 20_000)
        self._lose_what_is_over(self.now)
        self.forward_only = False
        self.now -= by
        self.reserve(REQUESTS[0], CONTENTS[0], 1, address=True)
        self.blocks()
        self._both(lambda side: side.offend(party))
        self._lose_what_is_over(self.now)

    @rule(party=parties)
    def lift(self, party: Party) -> None:
        """Lift, as an operator does."""
        self._both(lambda side: side.lift(party))

    @rule()
    def blocks(self) -> None:
        """List the blocks."""
        self._both(lambda side: side.blocks())

    @precondition(lambda self: len(self.attempts) > 5)
    @rule()
    def forget(self) -> None:
        """Forget the user."""
        self._both(lambda side: side.forget())
        self.delivered.clear()

    def _lose_what_is_over(self, now: int) -> None:
        super()._lose_what_is_over(now)
        for side in (self.store, self.model):
            for party in Party:
                self._run(side.lose_standing(party))

    def _ends_of_blocks(self) -> set[int]:
        assert self.seen is not None
        edges: set[int] = set()
        for standing in (self.seen.user, self.seen.address):
            edges |= {each.at + BLOCKING.window_ms for each in standing.violations}
            edges |= {standing.block.until} if standing.block else set()
        return edges

    def _reserve(
        self, request: bytes, owner: bytes, content: bytes, count: int, *, address: bool
    ) -> None:
        super()._reserve(request, owner, content, count, address=address)
        if address and self.last[0] == "blocked" and self.store.asks_apart:
            # It learned of the block after it had looked at the user.
            self._run(self.model.undone(request, owner, content, count))
