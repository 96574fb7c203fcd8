"""Whatever tries there are, who waits as told breaks nothing, and what is promised holds."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

from hypothesis import given, settings, strategies as st

from policy.account import Account, Sealed
from policy.decisions import Attempt, Reserved
from policy.limits import Limits
from policy.patterns import evidence, findings
from policy.rules import EnumerationRule, IdenticalRule, Rules, TimingRule, VolumeRule
from policy.tries import Memory, Try, TryKind, added, tried

NOW = 1_767_225_600_000
LEASE = 30_000

LIMITS = st.builds(
    Limits,
    tokens_per_hour=st.integers(1, 4),
    tokens_per_day=st.integers(4, 6),
    cooldown_ms=st.sampled_from([0, 1, 1_000, 300_000]),
    concurrent_sessions=st.integers(0, 2),
)
STEPS = st.tuples(
    st.sampled_from([0, 0, 1, 999, 60_000, 3_600_000]),  # how much later than it might
    st.sampled_from([0, 0, 400, LEASE - 1, LEASE]),  # how long its mint takes
    st.sampled_from([b"", b"a", b"b"]),
)
STRICT = Rules(
    VolumeRule(most=3),
    IdenticalRule(most=1, known=2),
    EnumerationRule(most=1, known=2),
    TimingRule(deviation_ms=1_000, known=2),
)


def played(limits: Limits, clients: int, steps: list[tuple[int, int, bytes]]) -> list[list[Try]]:
    """Return a user's tries after each, where some clients ask and ask again as they are told."""
    account = Account()
    tries: tuple[Try, ...] = ()
    seen: list[list[Try]] = []
    numbers = itertools.count()
    memory = Memory()
    queue: list[tuple[int, int, Attempt | None]] = [(NOW, next(numbers), None)] * clients
    heapq.heapify(queue)
    for later, mint, body in steps:
        while (at_work := queue[0][2]) is not None:
            now, *_ = heapq.heappop(queue)
            account.commit(at_work, 1, now + 60_000, Sealed(b"", 0), limits, now=now)
        now, *_ = heapq.heappop(queue)
        attempt = Attempt("ann", b"%d" % next(numbers), b"owner")
        decision = account.reserve(attempt, body, 1, limits, now=now, lease_ms=LEASE)
        new = tried(decision, body)
        if new is None:
            assert isinstance(decision, Reserved)
            heapq.heappush(queue, (now + mint, next(numbers), attempt))
            heapq.heappush(queue, (now + mint + later, next(numbers), None))
            continue
        tries = added(tries, new, memory)
        seen.append(list(tries))
        heapq.heappush(queue, (new.told + later, next(numbers), None))
    return seen


@given(LIMITS, st.lists(STEPS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_a_client_that_waits_as_told_breaks_nothing(
    limits: Limits, steps: list[tuple[int, int, bytes]]
) -> None:
    """However alike, various, regular or many its requests, no rule at its strictest is broken."""
    for tries in played(limits, 1, steps):
        assert not any(finding.broken for finding in findings(tries, STRICT))
        assert evidence(tries) == []


@given(LIMITS, st.integers(2, 6), st.lists(STEPS, max_size=80))
@settings(max_examples=300, deadline=None)
def test_clients_that_each_wait_as_told_break_nothing(
    limits: Limits, clients: int, steps: list[tuple[int, int, bytes]]
) -> None:
    """Tabs and workers that each wait as told meet each other's waits at their first try only."""
    for tries in played(limits, clients, steps):
        assert not any(finding.broken for finding in findings(tries, Rules()))
        assert len(evidence(tries)) < clients


TRIES = st.lists(
    st.builds(
        lambda step, told, kind, body: (step, told, kind, body),
        st.sampled_from([0, 1, 10, 10, 10, 50, 100, 190, -1]),
        st.sampled_from([0, 1, 10, 30, 100, 500, 5_000]),
        st.sampled_from([*TryKind, TryKind.REFUSED]),
        st.sampled_from([b"a", b"b"]),
    ),
    min_size=1,
    max_size=24,
)
RULES = st.builds(
    Rules,
    volume=st.builds(VolumeRule, most=st.integers(1, 5), window_ms=st.integers(20, 300)),
    identical_requests=st.builds(
        IdenticalRule, most=st.integers(1, 3), known=st.integers(2, 5), window_ms=st.just(200)
    ),
    parameter_enumeration=st.builds(
        EnumerationRule, most=st.just(1), known=st.integers(2, 5), window_ms=st.just(100)
    ),
    machine_timing=st.builds(
        TimingRule,
        deviation_ms=st.sampled_from([0.5, 1, 5, 10, 40]),
        known=st.integers(2, 5),
        window_ms=st.sampled_from([100, 300]),
    ),
)


def told(steps: list[tuple[int, int, TryKind, bytes]]) -> list[Try]:
    """Return tries, each some time after the one before it."""
    now, tries = NOW, []
    for step, wait, kind, body in steps:
        now += step
        waits = kind in (TryKind.REFUSED, TryKind.BUSY) and wait
        tries.append(Try(now, now + wait if waits else 0, kind, body))
    return tries


@given(TRIES, RULES)
@settings(max_examples=1_000, deadline=None)
def test_the_same_try_at_the_time_that_is_told_breaks_nothing(
    steps: list[tuple[int, int, TryKind, bytes]], rules: Rules
) -> None:
    """Whoever waits as long as a rule says does not break it."""
    tries = told(steps)
    for place, finding in enumerate(findings(tries, rules)):
        assert (finding.ends_at is not None) == finding.broken
        if finding.ends_at is not None:
            assert finding.ends_at > tries[-1].at
            again = added(tries, replace(tries[-1], at=finding.ends_at), rules.memory)
            assert not findings(again, rules)[place].broken


@given(TRIES, TRIES, RULES)
@settings(max_examples=300, deadline=None)
def test_what_is_past_changes_nothing(
    steps: list[tuple[int, int, TryKind, bytes]],
    older: list[tuple[int, int, TryKind, bytes]],
    rules: Rules,
) -> None:
    """Tries older than the rules' memory change no finding."""
    tries, past = told(steps), told(older)
    shift = tries[-1].at - rules.memory.window_ms - max(each.at for each in past)
    moved = [replace(each, at=each.at + shift) for each in past]
    assert findings([*moved, *tries], rules) == findings(tries, rules)


@given(TRIES, RULES)
@settings(max_examples=300, deadline=None)
def test_only_a_try_that_counts_breaks_a_rule(
    steps: list[tuple[int, int, TryKind, bytes]], rules: Rules
) -> None:
    """Whoever came before, a try that was made as told, or is a first refusal, breaks nothing."""
    tries = told(steps)
    if not any(each is tries[-1] for each in evidence(added(tries[:-1], tries[-1], rules.memory))):
        assert not any(finding.broken for finding in findings(tries, rules))
