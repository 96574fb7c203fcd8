"""Whatever happens to an account, what was issued keeps to the limits."""

import itertools
from dataclasses import dataclass, field

from hypothesis import example, given, settings, strategies as st

from policy.account import Account, Sealed
from policy.decisions import Attempt, Committed, Refused, Reserved
from policy.limits import DAY_MS, HOUR_MS, Limits

NOW = 1_767_225_600_000
LEASE = 10_000
COOLDOWN = 4_000

LIMITS = st.builds(
    Limits,
    tokens_per_hour=st.integers(1, 4),
    tokens_per_day=st.integers(1, 6),
    cooldown_ms=st.sampled_from([0, 1, COOLDOWN, LEASE, 3 * LEASE]),
    concurrent_sessions=st.integers(0, 2),
)
SHORT = st.sampled_from([0, 1, COOLDOWN - 1, COOLDOWN, LEASE - 1, LEASE, LEASE + 1])
LONG = st.sampled_from(
    [0, COOLDOWN, HOUR_MS - LEASE, HOUR_MS - 1, HOUR_MS, DAY_MS - HOUR_MS, DAY_MS - 1]
)


def events_at(steps: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, ...]]]:
    """Return what happens after each step: a kind, a count, a choice and a token's life."""
    lives = st.sampled_from([1, COOLDOWN, HOUR_MS, DAY_MS])
    event = st.tuples(steps, KINDS, st.integers(1, 2), st.integers(0, 3), lives)
    return st.lists(event, max_size=14)


RESERVE, ISSUE, COMMIT, RELEASE = range(4)
KINDS = st.sampled_from([RESERVE, ISSUE, COMMIT, RESERVE, ISSUE, COMMIT, RELEASE])
EVENTS = st.one_of(events_at(SHORT), events_at(LONG), events_at(SHORT | LONG))


@dataclass
class Book:
    """A plain list of issued tokens, checked one by one."""

    limits: Limits
    tokens: list[tuple[int, int]] = field(default_factory=list)
    """When each was issued, and when it expires."""

    def issue(self, now: int, count: int, lasts: int) -> None:
        """Note tokens, and look whether that was too many."""
        earlier = [at for at, _ in self.tokens]
        assert all(now - at >= self.limits.cooldown_ms for at in earlier)
        self.tokens += [(now, now + lasts)] * count
        ats = [at for at, _ in self.tokens]
        assert sum(now - HOUR_MS < at for at in ats) <= self.limits.tokens_per_hour
        assert sum(now - DAY_MS < at for at in ats) <= self.limits.tokens_per_day
        if self.limits.concurrent_sessions:
            assert sum(end > now for _, end in self.tokens) <= self.limits.concurrent_sessions


@example(  # a mint slower than the cooldown, and one beside it
    limits=Limits(3, 4, COOLDOWN, 0),
    events=[(0, RESERVE, 1, 0, 1), (COOLDOWN, ISSUE, 1, 0, 1), (1, COMMIT, 1, 0, 1)],
)
@given(limits=LIMITS, events=EVENTS)
@settings(max_examples=400, deadline=None)
def test_no_window_of_issued_tokens_is_ever_exceeded(
    limits: Limits, events: list[tuple[int, ...]]
) -> None:
    """No hour, day, cooldown or cap of issued tokens is exceeded, however mints overlap."""
    account, book, now, numbers = Account(), Book(limits), NOW, itertools.count()
    pending: list[tuple[Attempt, int]] = []

    def reserve(count: int) -> None:
        attempt = Attempt("ann", b"%d" % next(numbers), b"owner")
        decision = account.reserve(attempt, b"print", count, limits, now=now, lease_ms=LEASE)
        if isinstance(decision, Reserved):
            pending.append((attempt, count))

    def commit(which: int, lasts: int) -> None:
        attempt, count = pending.pop(which % len(pending))
        outcome = account.commit(attempt, count, now + lasts, Sealed(b"", 0), limits, now=now)
        if isinstance(outcome, Committed):
            book.issue(now, count, lasts)

    for step, event, count, which, lasts in events:
        now += step
        known = len(pending)
        if event in (RESERVE, ISSUE):
            reserve(count)
        if (event == ISSUE and len(pending) > known) or (event == COMMIT and pending):
            commit(-1 if event == ISSUE else which, lasts)
        if event == RELEASE and pending:
            attempt, _ = pending.pop(which % len(pending))
            account.release(attempt, limits, ambiguous=bool(count % 2), now=now)


@given(limits=LIMITS, events=EVENTS, count=st.integers(1, 2))
@settings(max_examples=200, deadline=None)
def test_the_promised_moment_is_tight(
    limits: Limits, events: list[tuple[int, ...]], count: int
) -> None:
    """One millisecond before the promised moment the same request is refused; at it, granted."""
    account, now, numbers = Account(), NOW, itertools.count()

    def attempt(count: int, at: int) -> Reserved | Refused:
        key = Attempt("ann", b"%d" % next(numbers), b"owner")
        before = list(account.charges)
        decision = account.reserve(key, b"print", count, limits, now=at, lease_ms=LEASE)
        if isinstance(decision, Reserved):
            account.commit(key, count, at + HOUR_MS, Sealed(b"", 0), limits, now=at)
            return decision
        assert isinstance(decision, Refused)
        assert account.charges == [charge for charge in before if at < charge.counts_until]
        return decision

    for step, _, size, _, _ in events:
        now += step
        attempt(size, now)
    decision = attempt(count, now)
    if isinstance(decision, Refused) and (opens := decision.verdict.next_allowed_at) is not None:
        assert isinstance(attempt(count, opens - 1), Refused)
        assert isinstance(attempt(count, opens), Reserved)
