"""What can happen to a user's charges."""

from collections.abc import Callable

import pytest

from policy.account import Account, Charge, Sealed, State
from policy.decisions import (
    Attempt,
    CommitOutcome,
    Committed,
    Decision,
    InProgress,
    Lost,
    Refused,
    Release,
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.limits import DAY_MS, HOUR_MS, Assessment, Limit, Limits

NOW = 1_767_225_600_000
LEASE = 30_000
LIMITS = Limits(tokens_per_hour=10, tokens_per_day=100, cooldown_ms=0)
PRINT = b"print"

AttemptAt = Callable[..., Attempt]


@pytest.fixture
def account() -> Account:
    """Return an account without charges."""
    return Account()


def reserve(
    account: Account,
    attempt: Attempt,
    now: int = NOW,
    *,
    fingerprint: bytes = PRINT,
    count: int = 1,
    limits: Limits = LIMITS,
) -> Decision:
    """Charge an account."""
    return account.reserve(attempt, fingerprint, count, limits, now=now, lease_ms=LEASE)


def commit(
    account: Account,
    attempt: Attempt,
    now: int = NOW,
    *,
    count: int = 1,
    expires: int = NOW + HOUR_MS,
    sealed_until: int = NOW + 120_000,
    limits: Limits = LIMITS,
) -> CommitOutcome:
    """Make a charge final."""
    sealed = Sealed(b"sealed", sealed_until)
    return account.commit(attempt, count, expires, sealed, limits, now=now)


def release(
    account: Account,
    attempt: Attempt,
    now: int = NOW,
    *,
    ambiguous: bool = False,
    limits: Limits = LIMITS,
) -> Release:
    """Give a charge back."""
    return account.release(attempt, limits, ambiguous=ambiguous, now=now)


def test_a_reservation_holds_until_its_lease_ends(account: Account, attempt_at: AttemptAt) -> None:
    """What is reserved may be committed until the lease ends, and the answer says when."""
    assert reserve(account, attempt_at()) == Reserved(NOW + LEASE)


def test_a_repeat_by_the_same_owner_changes_nothing(
    account: Account, attempt_at: AttemptAt
) -> None:
    """The same attempt again is answered the same and charged once."""
    attempt = attempt_at()
    first = reserve(account, attempt)
    assert reserve(account, attempt, NOW + 1_000) == first
    assert len(account.charges) == 1


def test_another_owner_of_the_request_has_to_wait(account: Account, attempt_at: AttemptAt) -> None:
    """While one attempt is at work, another at the same request is told until when."""
    reserve(account, attempt_at(b"r", b"one"))
    answer = reserve(account, attempt_at(b"r", b"two"), NOW + 1_000)
    assert answer == InProgress(NOW + LEASE, NOW + 1_000)
    assert len(account.charges) == 1


@pytest.mark.parametrize("committed", [False, True])
def test_a_request_id_with_another_content_is_refused(
    account: Account, attempt_at: AttemptAt, *, committed: bool
) -> None:
    """A request id that came with another fingerprint is told so, pending or committed."""
    first = attempt_at(b"r")
    reserve(account, first)
    if committed:
        commit(account, first)
    assert reserve(account, attempt_at(b"r"), fingerprint=b"other") == Reused(NOW)
    assert reserve(account, first, fingerprint=b"other") == Reused(NOW)


def test_a_committed_request_is_replayed_while_its_seal_lasts(
    account: Account, attempt_at: AttemptAt
) -> None:
    """Until `sealed_until` a repeat gets the sealed result and is not charged again."""
    first = attempt_at(b"r")
    reserve(account, first)
    commit(account, first, sealed_until=NOW + 5_000)
    answer = reserve(account, attempt_at(b"r"), NOW + 4_999)
    assert answer == Replayed(b"sealed", Usage(1, 1, 1, None), NOW + 4_999)
    assert isinstance(reserve(account, attempt_at(b"r"), NOW + 5_000), Reserved)


def test_a_replay_is_given_where_a_new_charge_would_be_refused(
    account: Account, attempt_at: AttemptAt
) -> None:
    """A repeat of the request that spent the last token is answered with that token."""
    one = Limits(1, 1, 60_000, 1)
    first = attempt_at(b"r")
    reserve(account, first, limits=one)
    commit(account, first, limits=one)
    assert isinstance(reserve(account, attempt_at(b"r"), limits=one), Replayed)
    assert isinstance(reserve(account, attempt_at(), limits=one), Refused)


def test_a_commit_after_the_lease_is_lost(account: Account, attempt_at: AttemptAt) -> None:
    """A commit is taken one millisecond before the lease ends, and lost at its end."""
    late, early = attempt_at(), attempt_at()
    reserve(account, late)
    reserve(account, early)
    assert isinstance(commit(account, early, NOW + LEASE - 1), Committed)
    assert commit(account, late, NOW + LEASE) == Lost()
    assert [charge.request for charge in account.charges] == [early.request]


def test_a_lease_that_ends_gives_the_charge_back(account: Account, attempt_at: AttemptAt) -> None:
    """A reservation nobody commits counts until its lease ends, and no longer."""
    one = Limits(1, 1, HOUR_MS, 1)
    reserve(account, attempt_at(), limits=one)
    assert isinstance(reserve(account, attempt_at(), NOW + LEASE - 1, limits=one), Refused)
    assert isinstance(reserve(account, attempt_at(), NOW + LEASE, limits=one), Reserved)


def test_only_the_owner_can_commit_or_release(account: Account, attempt_at: AttemptAt) -> None:
    """Another attempt at the same request can neither commit nor release the charge."""
    reserve(account, attempt_at(b"r", b"one"))
    assert commit(account, attempt_at(b"r", b"two")) == Lost()
    assert release(account, attempt_at(b"r", b"two")) is Release.NOTHING
    assert isinstance(commit(account, attempt_at(b"r", b"one")), Committed)


def test_a_new_attempt_after_a_lost_lease_owns_the_request(
    account: Account, attempt_at: AttemptAt
) -> None:
    """Once the first lease ended a second attempt may commit, and the first may not."""
    one, two = attempt_at(b"r", b"one"), attempt_at(b"r", b"two")
    reserve(account, one)
    assert isinstance(reserve(account, two, NOW + LEASE), Reserved)
    assert commit(account, one, NOW + LEASE) == Lost()
    assert isinstance(commit(account, two, NOW + LEASE), Committed)


def test_what_was_never_reserved_cannot_be_committed(
    account: Account, attempt_at: AttemptAt
) -> None:
    """A commit without a reservation is lost and charges nothing."""
    assert commit(account, attempt_at()) == Lost()
    assert account.charges == []


def test_a_commit_can_be_repeated(account: Account, attempt_at: AttemptAt) -> None:
    """The same commit again says committed and changes neither time nor count."""
    attempt = attempt_at()
    reserve(account, attempt)
    first = commit(account, attempt, NOW + 10)
    charges = list(account.charges)
    again = commit(account, attempt, NOW + 20, expires=NOW + DAY_MS)
    assert again == first == Committed(Usage(1, 1, 1, None))
    assert account.charges == charges


def test_a_commit_moves_the_charge_to_its_own_moment(
    account: Account, attempt_at: AttemptAt
) -> None:
    """Windows and cooldown count from the commit, not from the reservation."""
    limits = Limits(1, 9, 5_000, 0)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    outcome = commit(account, attempt, NOW + 7_000, limits=limits)
    assert isinstance(outcome, Committed)
    assert outcome.usage.next_allowed_at == NOW + 7_000 + HOUR_MS
    before = account.usage(limits, now=NOW + 7_000 + HOUR_MS - 1)
    after = account.usage(limits, now=NOW + 7_000 + HOUR_MS)
    assert (before.tokens_last_hour, after.tokens_last_hour) == (1, 0)


def test_a_commit_of_fewer_gives_the_rest_back(account: Account, attempt_at: AttemptAt) -> None:
    """Of three reserved and two minted, one place is free again."""
    three = Limits(3, 3, 0, 3)
    attempt = attempt_at()
    reserve(account, attempt, count=3, limits=three)
    assert isinstance(reserve(account, attempt_at(), limits=three), Refused)
    outcome = commit(account, attempt, count=2, limits=three)
    assert outcome == Committed(Usage(2, 2, 2, None))
    assert isinstance(reserve(account, attempt_at(), limits=three), Reserved)


def test_a_commit_of_more_than_was_reserved_is_lost(
    account: Account, attempt_at: AttemptAt
) -> None:
    """Nobody can commit more tokens than were reserved; the charge stays as it was."""
    attempt = attempt_at()
    reserve(account, attempt)
    assert commit(account, attempt, count=2) == Lost()
    assert isinstance(commit(account, attempt), Committed)


def test_a_release_gives_back_exactly_once(account: Account, attempt_at: AttemptAt) -> None:
    """The first release says yes, the second no, and a commit comes too late."""
    one = Limits(1, 1, HOUR_MS, 1)
    attempt = attempt_at()
    reserve(account, attempt, limits=one)
    assert release(account, attempt) is Release.RELEASED
    assert release(account, attempt) is Release.NOTHING
    assert commit(account, attempt, limits=one) == Lost()
    assert isinstance(reserve(account, attempt_at(), limits=one), Reserved)


def test_a_committed_charge_cannot_be_released(account: Account, attempt_at: AttemptAt) -> None:
    """A token that was issued stays on the account."""
    attempt = attempt_at()
    reserve(account, attempt)
    commit(account, attempt)
    assert release(account, attempt) is Release.NOTHING
    assert account.usage(LIMITS, now=NOW).tokens_last_hour == 1


def test_a_release_after_the_lease_finds_nothing(account: Account, attempt_at: AttemptAt) -> None:
    """What the lease gave back cannot be given back again."""
    attempt = attempt_at()
    reserve(account, attempt)
    assert release(account, attempt, NOW + LEASE) is Release.NOTHING


def test_the_cooldown_falls_back_after_a_release(account: Account, attempt_at: AttemptAt) -> None:
    """After a failed mint the cooldown runs from the token before it again."""
    limits = Limits(9, 9, 5_000, 0)
    first, failed = attempt_at(), attempt_at()
    reserve(account, first, limits=limits)
    commit(account, first, limits=limits)
    assert isinstance(reserve(account, failed, NOW + 5_000, limits=limits), Reserved)
    release(account, failed, NOW + 5_001)
    assert isinstance(reserve(account, attempt_at(), NOW + 5_001, limits=limits), Reserved)


def test_the_cooldown_of_issued_tokens_holds_when_mints_are_slow(
    account: Account, attempt_at: AttemptAt
) -> None:
    """A second mint does not begin while the first, slower than the cooldown, may yet commit."""
    limits = Limits(9, 9, 5_000, 0)
    slow = attempt_at()
    reserve(account, slow, limits=limits)
    decision = reserve(account, attempt_at(), NOW + 5_000, limits=limits)
    assert isinstance(decision, Refused)
    assert decision.verdict.limit is Limit.COOLDOWN
    assert decision.verdict.next_allowed_at == NOW + LEASE
    commit(account, slow, NOW + 6_000, limits=limits)
    again = reserve(account, attempt_at(), NOW + 6_000, limits=limits)
    assert isinstance(again, Refused)
    assert again.verdict.next_allowed_at == NOW + 11_000


def test_a_refusal_charges_nothing(account: Account, attempt_at: AttemptAt) -> None:
    """All of a count is charged or none of it."""
    assert isinstance(reserve(account, attempt_at(), count=11), Refused)
    assert account.charges == []


def test_usage_counts_issued_tokens_each_in_its_window(
    account: Account, attempt_at: AttemptAt
) -> None:
    """Active until expiry, in the hour for an hour, in the day for a day; pending in none."""
    attempt = attempt_at()
    reserve(account, attempt, count=2)
    assert account.usage(LIMITS, now=NOW) == Usage(0, 0, 0, None)
    commit(account, attempt, count=2, expires=NOW + 1_000)
    last = attempt_at()
    reserve(account, last)
    commit(account, last, expires=NOW + 2 * DAY_MS)
    counts = [
        (usage.active_tokens, usage.tokens_last_hour, usage.tokens_last_day)
        for usage in (
            account.usage(LIMITS, now=NOW + after)
            for after in (0, 999, 1_000, HOUR_MS - 1, HOUR_MS, DAY_MS - 1, DAY_MS, 2 * DAY_MS)
        )
    ]
    assert counts == [
        *((3, 3, 3), (3, 3, 3), (1, 3, 3), (1, 3, 3)),
        *((1, 0, 3), (1, 0, 3), (1, 0, 0), (0, 0, 0)),
    ]


def test_usage_changes_nothing(account: Account, attempt_at: AttemptAt) -> None:
    """Reading forgets nothing, even what no longer counts."""
    reserve(account, attempt_at())
    charges = list(account.charges)
    account.usage(LIMITS, now=NOW + 10 * DAY_MS)
    assert account.charges == charges


def test_usage_tells_of_each_limit(account: Account, attempt_at: AttemptAt) -> None:
    """Each limit that is on: what of it is used and from when on it allows one more token."""
    limits = Limits(2, 9, 5_000, 0)
    for _ in range(2):
        attempt = attempt_at()
        reserve(account, attempt, limits=Limits(9, 9, 0, 0))
        commit(account, attempt)
    usage = account.usage(limits, now=NOW + 1_000)
    assert usage.by_limit == (
        Assessment(Limit.TOKENS_PER_HOUR, 2, 2, NOW + HOUR_MS),
        Assessment(Limit.TOKENS_PER_DAY, 9, 2, NOW + 1_000),
        Assessment(Limit.COOLDOWN, 5_000, 4_000, NOW + 5_000),
    )
    assert [each.refuses(usage.now) for each in usage.by_limit] == [True, False, True]
    assert usage.next_allowed_at == NOW + HOUR_MS, "the latest of them"
    one_session = account.usage(Limits(9, 9, 0, 1), now=NOW + 1_000).by_limit[-1]
    assert one_session == Assessment(Limit.CONCURRENT_SESSIONS, 1, 2, NOW + HOUR_MS)


def test_usage_names_the_next_moment_and_agrees_with_reserve(
    account: Account, attempt_at: AttemptAt
) -> None:
    """The moment that usage promises is the one that a refusal promises."""
    limits = Limits(9, 9, 5_000, 0)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    commit(account, attempt, limits=limits)
    refused = reserve(account, attempt_at(), NOW + 1, limits=limits)
    assert isinstance(refused, Refused)
    assert refused.verdict.limit is Limit.COOLDOWN
    promised = account.usage(limits, now=NOW + 1).next_allowed_at
    assert promised == refused.verdict.next_allowed_at == NOW + 5_000
    assert account.usage(limits, now=NOW + 5_000).next_allowed_at is None


def test_an_ambiguous_release_is_within_a_budget(account: Account, attempt_at: AttemptAt) -> None:
    """Two an hour are given back, a third stays; an hour after the first there is room again."""
    limits = Limits(9, 9, 0, 0, refunds_per_hour=2)
    outcomes = []
    for now in (NOW, NOW + 5, NOW + 6, NOW + HOUR_MS - 1, NOW + HOUR_MS):
        attempt = attempt_at()
        reserve(account, attempt, now, limits=limits)
        outcomes.append(release(account, attempt, now, ambiguous=True, limits=limits))
    assert outcomes == [
        *(Release.RELEASED, Release.RELEASED, Release.KEPT, Release.KEPT, Release.RELEASED),
    ]
    assert account.usage(limits, now=NOW + HOUR_MS - 1).tokens_last_hour == 2


def test_what_stays_after_a_release_is_nobodys(account: Account, attempt_at: AttemptAt) -> None:
    """Its commit is lost, it cannot be released, and a repeat is a new charge."""
    limits = Limits(9, 9, 0, 0, refunds_per_hour=0)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    assert release(account, attempt, ambiguous=True, limits=limits) is Release.KEPT
    assert commit(account, attempt, limits=limits) == Lost()
    assert release(account, attempt, limits=limits) is Release.NOTHING
    assert isinstance(reserve(account, attempt, limits=limits), Reserved)
    assert [charge.state for charge in account.charges] == [State.ISSUED, State.PENDING]


def test_a_plain_release_needs_no_budget(account: Account, attempt_at: AttemptAt) -> None:
    """Where no token can have been made, the charge is always given back."""
    limits = Limits(9, 9, 0, 0, refunds_per_hour=0)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    assert release(account, attempt, limits=limits) is Release.RELEASED
    assert account.charges == []


def test_a_refund_counts_as_no_token(account: Account, attempt_at: AttemptAt) -> None:
    """Neither a window, nor the cooldown, nor usage knows of what was given back."""
    limits = Limits(1, 1, HOUR_MS, 1)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    release(account, attempt, ambiguous=True, limits=limits)
    assert account.usage(limits, now=NOW) == Usage(0, 0, 0, None)
    assert isinstance(reserve(account, attempt, limits=limits), Reserved)


@pytest.mark.parametrize("back, now", [(1, NOW), (60_000, NOW), (60_001, NOW - 60_001)])
def test_a_clock_that_steps_back(
    account: Account, attempt_at: AttemptAt, back: int, now: int
) -> None:
    """By a minute or less it stands still; by more it is believed, and charges come along."""
    limits = Limits(9, 9, 5_000, 0)
    attempt = attempt_at()
    reserve(account, attempt, limits=limits)
    refused = reserve(account, attempt_at(), NOW - back, limits=limits)
    assert isinstance(refused, Refused)
    assert (refused.now, refused.verdict.next_allowed_at) == (now, now + LEASE)
    owner, request = attempt.owner, attempt.request
    assert account.charges == [Charge(now, now + LEASE, 1, State.PENDING, request, owner, PRINT)]
