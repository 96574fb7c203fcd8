"""Deciding alone: within reduced limits, marked, and never mixed with what the store decided."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from structlog.testing import capture_logs

from policy.account import Sealed
from policy.decisions import (
    Abusive,
    Answer,
    Attempt,
    Blocked,
    CommitOutcome,
    Committed,
    InProgress,
    Inspection,
    Lost,
    Observation,
    Refused,
    Release,
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.degraded import DegradingStore, reduced_by
from policy.effective import EffectivePolicy, Tier
from policy.explain import Explainer
from policy.judge import Judge, Request, Ruling
from policy.limits import DAY_MS, HOUR_MS, Limit, Limits
from policy.memory import MemoryStore
from policy.rules import Client, Content, Rule, Rules
from policy.standing import Blocking, Offender, Party, Standing
from policy.tries import Memory
from serving.stores import StoreUnavailable

NOW = 1_767_225_600_000
LEASE = 30_000
FULL = Limits(tokens_per_hour=3, tokens_per_day=4, cooldown_ms=0)
REDUCED = Limits(tokens_per_hour=1, tokens_per_day=2, cooldown_ms=0)
RULES = Rules(blocking=Blocking(violations=2))
ANN = Offender(Party.USER, "ann")


@dataclass
class StillClock:
    """Tells the same time until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


class Shared(MemoryStore):
    """Stands for the shared store, and can be away."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__(clock, lease_ms=LEASE)
        self.why_away = ""
        self.asked: list[str] = []

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.why_away:
            raise StoreUnavailable(self.why_away)

    async def reserve(self, *args: Any, **more: Any) -> Answer:
        """See Store."""
        self._ask("reserve")
        return await super().reserve(*args, **more)

    async def commit(self, *args: Any, **more: Any) -> CommitOutcome:
        """See Store."""
        self._ask("commit")
        return await super().commit(*args, **more)

    async def release(self, *args: Any, **more: Any) -> Release:
        """See Store."""
        self._ask("release")
        return await super().release(*args, **more)

    async def usage(self, *args: Any) -> Usage:
        """See Store."""
        self._ask("usage")
        return await super().usage(*args)

    async def observe(self, *args: Any) -> Observation:
        """See Store."""
        self._ask("observe")
        return await super().observe(*args)

    async def offend(self, *args: Any, **more: Any) -> Standing:
        """See Store."""
        self._ask("offend")
        return await super().offend(*args, **more)

    async def inspect(self, *args: Any) -> Inspection:
        """See Store."""
        self._ask("inspect")
        return await super().inspect(*args)

    async def forget(self, user: str) -> None:
        """See Store."""
        self._ask("forget")
        await super().forget(user)

    async def check(self) -> None:
        """See Store."""
        self._ask("check")


@dataclass
class Bench:
    """A process, the store that it shares, and a user."""

    clock: StillClock
    shared: Shared
    alone: MemoryStore
    store: DegradingStore
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @classmethod
    def of(cls, clock: StillClock, shared: Shared | None = None) -> "Bench":
        """Start a process."""
        shared = Shared(clock) if shared is None else shared  # an empty one is false
        alone = MemoryStore(clock, lease_ms=LEASE)
        return cls(clock, shared, alone, DegradingStore(shared, alone, lambda _: REDUCED))

    async def reserve(
        self, attempt: Attempt, fingerprint: bytes = b"this", address: str | None = None
    ) -> Answer:
        """Reserve a token."""
        memory = Memory(window_ms=60_000, most=3)
        return await self.store.reserve(
            attempt, fingerprint, 1, FULL, address=address, memory=memory
        )

    async def commit(self, attempt: Attempt) -> CommitOutcome:
        """Commit it, to be repeated for two minutes."""
        now = self.clock.now
        sealed = Sealed(attempt.owner, now + 120_000)
        return await self.store.commit(attempt, 1, now + 1_800_000, sealed, FULL)

    async def issue(self, attempt: Attempt) -> None:
        """Do both."""
        answer = await self.reserve(attempt)
        assert isinstance(answer.decision, Reserved)
        assert isinstance(await self.commit(attempt), Committed)

    async def issued(self, store: MemoryStore) -> int:
        """Return how many tokens `store` has issued to the user in a day."""
        return (await MemoryStore.usage(store, "ann", FULL)).tokens_last_day


AttemptAt = Callable[..., Attempt]


@pytest.fixture
def bench() -> Bench:
    """Return a process whose store is there."""
    return Bench.of(StillClock())


async def test_with_the_store_nothing_is_decided_alone(bench: Bench, attempt_at: AttemptAt) -> None:
    """While it answers, it decides by the full limits, and the process keeps nothing."""
    for _ in range(FULL.tokens_per_hour):
        await bench.issue(attempt_at())
    answer = await bench.reserve(attempt_at())
    assert isinstance(answer.decision, Refused)
    assert not answer.degraded
    assert await bench.issued(bench.shared) == 3
    assert len(bench.alone) == 0


async def test_alone_the_reduced_limits_hold(bench: Bench, attempt_at: AttemptAt) -> None:
    """Every decision says that it was made alone, refusals included."""
    bench.shared.why_away = "gone"
    first, second = attempt_at(), attempt_at()
    answer = await bench.reserve(first)
    assert (answer.degraded, answer.decision) == (True, Reserved(NOW + LEASE))
    committed = await bench.commit(first)
    assert isinstance(committed, Committed)
    assert committed.usage.next_allowed_at == NOW + HOUR_MS, "by the reduced limit"
    refused = await bench.reserve(second)
    assert refused.degraded
    assert isinstance(refused.decision, Refused)
    assert (refused.decision.verdict.limit, refused.decision.verdict.value) == (
        Limit.TOKENS_PER_HOUR,
        1,
    )


@pytest.mark.parametrize("back", [False, True])
async def test_what_was_reserved_alone_is_settled_alone(
    bench: Bench, attempt_at: AttemptAt, *, back: bool
) -> None:
    """Committed or released, whether the store is back by then or not, it is not asked."""
    bench.shared.why_away = "gone"
    released, committed = attempt_at(), attempt_at()
    await bench.reserve(released)
    bench.shared.why_away = "" if back else "gone"
    assert await bench.store.release(released, FULL, ambiguous=False) is Release.RELEASED
    bench.shared.why_away = "gone"
    await bench.reserve(committed)
    bench.shared.why_away = "" if back else "gone"
    assert isinstance(await bench.commit(committed), Committed)
    assert isinstance(await bench.commit(committed), Committed), "a repeat changes nothing"
    assert await bench.store.release(committed, FULL, ambiguous=False) is Release.NOTHING
    assert set(bench.shared.asked) == {"reserve"}
    assert await bench.issued(bench.alone) == 1
    assert await bench.issued(bench.shared) == 0


async def test_what_was_reserved_in_the_store_is_not_settled_alone(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """Its commit and its release wait for the store, or its lease ends."""
    in_time, late = attempt_at(), attempt_at()
    for attempt in (in_time, late):
        assert not (await bench.reserve(attempt)).degraded
    bench.shared.why_away = "gone"
    with pytest.raises(StoreUnavailable):
        await bench.commit(in_time)
    with pytest.raises(StoreUnavailable):
        await bench.store.release(in_time, FULL, ambiguous=False)
    assert len(bench.alone) == 0
    bench.shared.why_away = ""
    assert isinstance(await bench.commit(in_time), Committed)
    bench.clock.now += LEASE
    assert isinstance(await bench.commit(late), Lost)


async def test_nothing_is_carried_over(bench: Bench, attempt_at: AttemptAt) -> None:
    """Back, the store decides by what it has itself; away again, the process remembers."""
    bench.shared.why_away = "gone"
    await bench.issue(attempt_at())
    bench.shared.why_away = ""
    for _ in range(FULL.tokens_per_hour):
        await bench.issue(attempt_at())
    assert (await bench.store.usage("ann", FULL)).tokens_last_hour == 3
    bench.shared.why_away = "gone again"
    answer = await bench.reserve(attempt_at())
    assert isinstance(answer.decision, Refused), "a new outage is no new quota"


async def test_a_repeat_finds_what_was_issued_alone(bench: Bench, attempt_at: AttemptAt) -> None:
    """Until its start window ends, even with the store back, which knows nothing of it."""
    bench.shared.why_away = "gone"
    first = attempt_at(b"request")
    await bench.reserve(first)
    bench.shared.why_away = ""
    assert (await bench.reserve(attempt_at(b"request"))).decision == InProgress(NOW + LEASE, NOW)
    await bench.commit(first)
    answer = await bench.reserve(attempt_at(b"request"))
    assert answer.degraded
    assert isinstance(answer.decision, Replayed)
    assert answer.decision.sealed_result == first.owner
    assert (await bench.reserve(attempt_at(b"request"), b"that")).decision == Reused(NOW)
    assert not (await bench.reserve(attempt_at())).degraded, "another request is the store's"
    bench.clock.now += 120_000
    answer = await bench.reserve(attempt_at(b"request"))
    assert (answer.degraded, answer.decision) == (False, Reserved(bench.clock.now + LEASE))


async def test_a_lease_that_ran_out_alone_leaves_the_request_to_the_store(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """Nobody has its token and nobody will: the next attempt begins anew."""
    bench.shared.why_away = "gone"
    first = attempt_at(b"request")
    await bench.reserve(first)
    bench.shared.why_away = ""
    bench.clock.now += LEASE
    assert not (await bench.reserve(attempt_at(b"request"))).degraded
    assert isinstance(await bench.commit(first), Lost)


async def test_a_repeat_of_what_the_store_issued_is_a_new_request(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """Away, nobody knows that it was: it is charged once more, alone."""
    await bench.issue(attempt_at(b"request"))
    bench.shared.why_away = "gone"
    answer = await bench.reserve(attempt_at(b"request"))
    assert (answer.degraded, answer.decision) == (True, Reserved(NOW + LEASE))


async def test_a_violation_while_away_blocks_here(bench: Bench, attempt_at: AttemptAt) -> None:
    """It is counted in the process's memory, and the store, back, knows nothing of it."""
    bench.shared.why_away = "gone"
    blocking = Blocking(violations=1)
    await bench.reserve(attempt_at())
    bench.shared.asked.clear()
    standing = await bench.store.offend(ANN, Rule.VOLUME, blocking)
    assert standing.block is not None
    assert bench.shared.asked == [], "its caller has waited for the store once: not twice"
    assert isinstance((await bench.reserve(attempt_at())).decision, Blocked)
    bench.shared.why_away = ""
    assert isinstance((await bench.reserve(attempt_at())).decision, Reserved)
    await bench.store.check()
    await bench.store.offend(ANN, Rule.VOLUME, blocking)
    assert isinstance((await bench.reserve(attempt_at())).decision, Blocked)


async def test_a_store_that_goes_between_decision_and_violation(bench: Bench) -> None:
    """The violation is counted alone."""
    bench.shared.why_away = "gone"
    await bench.store.offend(ANN, Rule.VOLUME, Blocking(violations=1))
    assert (await bench.alone.inspect("ann", None)).user.block


class Page:
    """A book of one page."""

    current = EffectivePolicy(default=Tier(limits=FULL, degraded_limits=REDUCED, rules=RULES))


def asked(attempt: Attempt, **more: Any) -> Request:
    """Ask for a token in a browser."""
    client, content = Client(None, frozenset({"user-agent"})), Content()
    whole: dict[str, Any] = {"client": client, "content": content, "tier": "", "address": None}
    return Request(attempt, b"this", 1, **(whole | more))


NO_HEADERS = {"client": Client(None, frozenset())}
A_PATH = {"content": Content(model="../m")}


def refused_alone(ruling: Ruling) -> Rule:
    """Return the rule that refused, without the store, and marked so."""
    assert ruling.degraded
    assert isinstance(ruling.outcome, Abusive)
    return ruling.outcome.rule


async def test_rules_about_a_single_request_refuse_alone(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """Its headers and its content are judged without the store, which is asked once."""
    bench.shared.why_away = "gone"
    judge = Judge(bench.store, Page())
    ruling = await judge.reserve(asked(attempt_at(), **NO_HEADERS))
    assert refused_alone(ruling) is Rule.REQUIRED_HEADERS
    bench.shared.asked.clear()
    ruling = await judge.reserve(asked(attempt_at(), **A_PATH))
    assert refused_alone(ruling) is Rule.SUSPICIOUS_CONTENT
    assert bench.shared.asked == ["inspect"], "and not again for the violation"
    assert isinstance((await judge.reserve(asked(attempt_at()))).outcome, Reserved)
    ruling = await judge.reserve(asked(attempt_at(), **A_PATH))
    assert isinstance((await judge.reserve(asked(attempt_at()))).outcome, Blocked)


async def test_requests_that_were_rejected_are_counted_alone(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """What was reported while the store is away adds up to a block here, and there to nothing."""
    bench.shared.why_away = "gone"
    judge = Judge(bench.store, Page())
    for _ in range(2):
        ruling = await judge.request_rejected(asked(attempt_at(), **A_PATH))
        assert refused_alone(ruling) is Rule.SUSPICIOUS_CONTENT
    assert isinstance((await judge.reserve(asked(attempt_at()))).outcome, Blocked)
    bench.shared.why_away = ""
    ruling = await judge.request_rejected(asked(attempt_at()))
    assert not ruling.degraded
    assert isinstance((await judge.reserve(asked(attempt_at()))).outcome, Reserved)


async def test_explaining_alone_tells_what_would_be_decided_alone(
    bench: Bench, attempt_at: AttemptAt
) -> None:
    """By the reduced limits and what this process knows, marked; it changes nothing."""
    bench.shared.why_away = "gone"
    explainer, judge = Explainer(bench.store, Page()), Judge(bench.store, Page())
    await bench.issue(attempt_at())
    told = await explainer.explain(asked(attempt_at()))
    ruling = await judge.reserve(asked(attempt_at()))
    assert told.ruling.degraded
    assert told.ruling.outcome == ruling.outcome
    assert {each.limit: each.value for each in told.limits} == {
        Limit.TOKENS_PER_HOUR: REDUCED.tokens_per_hour,
        Limit.TOKENS_PER_DAY: REDUCED.tokens_per_day,
    }
    bench.shared.why_away = ""
    told = await explainer.explain(asked(attempt_at()))
    assert not told.ruling.degraded
    assert isinstance(told.ruling.outcome, Reserved)


async def test_it_can_always_decide_and_says_how(bench: Bench, attempt_at: AttemptAt) -> None:
    """A check never fails; what is logged is when deciding alone begins and ends."""
    with capture_logs() as logs:
        await bench.store.check()
        bench.shared.why_away = "gone"
        await bench.store.check()
        await bench.store.check()
        await bench.reserve(attempt_at())
        bench.shared.why_away = ""
        await bench.store.check()
        await bench.store.check()
    assert [(line["event"], line.get("cause")) for line in logs] == [
        ("deciding alone", "gone"),
        ("deciding with the store again", None),
    ]


async def test_a_reset_forgets_in_both(bench: Bench, attempt_at: AttemptAt) -> None:
    """What was issued alone is forgotten too, so a reset user starts from nothing everywhere."""
    await bench.issue(attempt_at())
    bench.shared.why_away = "gone"
    await bench.issue(attempt_at())
    with pytest.raises(StoreUnavailable):
        await bench.store.usage("ann", FULL)
    bench.shared.why_away = ""
    await bench.store.forget("ann")
    assert await bench.issued(bench.shared) == 0
    bench.shared.why_away = "gone"
    await bench.issue(attempt_at())


PROCESSES = 2
STEP = HOUR_MS // 6


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, PROCESSES - 1), st.booleans(), st.integers(0, 30)), max_size=80
    )
)
async def test_what_it_over_issues_has_a_bound(
    steps: list[tuple[int, bool, int]],
) -> None:
    """In any window: the store's limit, and once for each process the reduced one; no more."""
    clock = StillClock()
    shared = Shared(clock)
    fleet = [Bench.of(clock, shared) for _ in range(PROCESSES)]
    issued: list[int] = []
    for number, (process, away, pause) in enumerate(steps):
        clock.now += pause * STEP
        shared.why_away = "gone" if away else ""
        attempt = Attempt("ann", b"request %04d" % number, b"owner%03d" % number)
        if isinstance((await fleet[process].reserve(attempt)).decision, Reserved):
            assert isinstance(await fleet[process].commit(attempt), Committed)
            issued.append(clock.now)
    for window, most in (
        (HOUR_MS, FULL.tokens_per_hour + PROCESSES * REDUCED.tokens_per_hour),
        (DAY_MS, FULL.tokens_per_day + PROCESSES * REDUCED.tokens_per_day),
    ):
        for start in issued:
            assert sum(start <= at < start + window for at in issued) <= most


PRO = Limits(tokens_per_hour=50, tokens_per_day=500)


@pytest.mark.parametrize(
    "tiers, limits, expected",
    [
        pytest.param({}, Limits(), Limits(tokens_per_hour=2, tokens_per_day=10), id="default"),
        pytest.param({}, PRO, Limits(tokens_per_hour=2, tokens_per_day=10), id="of no tier"),
        pytest.param({"pro": (PRO, REDUCED)}, PRO, REDUCED, id="a tier's own"),
        pytest.param({"pro": (PRO, REDUCED)}, FULL, Limits(2, 10), id="not another tier's"),
        pytest.param(
            {
                "a": (PRO, Limits(5, 20, cooldown_ms=0, concurrent_sessions=0)),
                "b": (PRO, Limits(4, 30, cooldown_ms=9, concurrent_sessions=3)),
                "c": (PRO, Limits(6, 30, cooldown_ms=1, concurrent_sessions=2, refunds_per_hour=1)),
            },
            PRO,
            Limits(4, 20, cooldown_ms=9, concurrent_sessions=2, refunds_per_hour=1),
            id="of tiers with the same limits the strictest of each",
        ),
    ],
)
def test_the_reduced_limits_are_those_of_the_tier(
    tiers: dict[str, tuple[Limits, Limits]], limits: Limits, expected: Limits
) -> None:
    """A store is told limits and not tiers: where tiers share them, no user gets more for it."""
    policy = EffectivePolicy(
        tiers={
            name: Tier(name, limits=full, degraded_limits=reduced)
            for name, (full, reduced) in tiers.items()
        }
    )
    assert reduced_by(policy, limits) == expected
