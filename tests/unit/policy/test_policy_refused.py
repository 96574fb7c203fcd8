"""Who was refused most: how exact the counts are, whoever else comes, and in how much memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from policy_server import NOW, StillClock

from policy.decisions import (
    Abusive,
    Attempt,
    Blocked,
    Denied,
    InProgress,
    Noted,
    Refused,
    Replayed,
    Reserved,
    Reused,
    Usage,
)
from policy.effective import Tier
from policy.judge import Request, Ruling
from policy.limits import Limit, Verdict
from policy.operators import refused as module
from policy.operators.refused import PLACES, MostRefused
from policy.rules import Client, Content, Rule
from policy.standing import Block, Offender, Party

MINUTE = 60_000
ANN = Offender(Party.USER, "ann's pseudonym")
HOME = Offender(Party.ADDRESS, "home's pseudonym")


def user(number: int) -> Offender:
    """Return a user."""
    return Offender(Party.USER, str(number))


def places(most: MostRefused) -> int:
    """Return how many entries there are in all."""
    return sum(len(each.tallies) for each in most._slices)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 1, MINUTE, 11 * MINUTE])),
        max_size=300,
    )
)
def test_nobody_is_counted_too_often_and_nobody_is_far_too_low(
    steps: list[tuple[int, int]],
) -> None:
    """Of the true count at most one in as many as there are places of all refusals is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PLACES", 4)
        clock = StillClock()
        most, told = MostRefused(clock), []
        for who, later in steps:
            clock.now += later
            most.count(user(who), "cooldown")
            told.append((clock.now, user(who)))
        lately = Counter(who for at, who in told if at >= most.since)
        missing = lately.total() / 4
        listed = most.most(100)
        counts = {each.offender: each.refusals for each in listed}
        assert all(counts[who] <= lately[who] for who in counts)
        assert all(lately[who] - counts.get(who, 0) <= missing for who in lately)
        assert [each.refusals for each in listed] == sorted(counts.values(), reverse=True)
        assert all(len(each.tallies) <= 4 for each in most._slices)


def test_strangers_make_it_no_larger_and_hide_nobody() -> None:
    """Among 100,000 strangers who come once, who comes 1,000 times is first, in bounded space."""
    clock = StillClock()
    most = MostRefused(clock)
    for number in range(100_000):
        most.count(user(number), "cooldown")
        if number % 100 == 0:
            most.count(ANN, "tokens_per_hour")
    assert places(most) <= PLACES
    first = most.most(1)[0]
    assert first.offender == ANN
    assert first.refusals >= 1_000 - 101_000 / PLACES
    assert first.last_reason == "tokens_per_hour"


def test_an_hour_is_remembered() -> None:
    """What is 55 minutes old counts, what is an hour old does not, and `since` says which."""
    clock = StillClock()
    most = MostRefused(clock)
    assert most.since == NOW
    most.count(ANN, "cooldown")
    clock.now += 55 * MINUTE
    most.count(HOME, "failed_credentials")
    assert [each.offender for each in most.most(10)] == [HOME, ANN]
    assert most.since == NOW
    clock.now += 5 * MINUTE
    assert [each.offender for each in most.most(10)] == [HOME]
    assert most.since == NOW + 55 * MINUTE
    clock.now += 600 * MINUTE
    assert most.most(10) == []
    assert NOW + 600 * MINUTE <= most.since <= clock.now
    assert places(most) == 0


def test_the_last_refusal_is_named() -> None:
    """Counts of different times add up, and the latest reason and time are told."""
    clock = StillClock()
    most = MostRefused(clock)
    for reason in ("cooldown", "volume", "user_block"):
        most.count(ANN, reason)
        clock.now += 6 * MINUTE
    (told,) = most.most(10)
    assert (told.refusals, told.last_reason) == (3, "user_block")
    assert told.last_at == NOW + 12 * MINUTE


def ruled(outcome: Any, address: str | None = HOME.name) -> list[tuple[Offender, str]]:
    """Return who is counted for a ruling, and for what."""
    most = MostRefused(StillClock())
    request = Request(
        Attempt(ANN.name, b"", b""), b"", 1, "", Client(None, None), address, Content("", "")
    )
    most.hear(request, Ruling("d", outcome, Tier()))
    return [(each.offender, each.last_reason) for each in most.most(10)]


@pytest.mark.parametrize(
    "outcome, counted",
    [
        (Refused(Verdict(Limit.COOLDOWN, 1, NOW), NOW), [(ANN, "cooldown")]),
        (Abusive(Rule.VOLUME, NOW), [(ANN, "volume")]),
        (Blocked(ANN, Block(0, 1, "r"), NOW), [(ANN, "user_block")]),
        (Blocked(HOME, Block(0, 1, "r"), NOW), [(HOME, "address_block")]),
        (Denied(), [(HOME, "address_denied")]),
        (Reserved(NOW), []),
        (Replayed(b"", Usage(0, 0, 0, None), NOW), []),
        (InProgress(NOW, NOW), []),
        (Reused(NOW), []),
        (Noted(), []),
    ],
)
def test_who_is_refused_is_who_is_held_to_account(
    outcome: Any, counted: list[tuple[Offender, str]]
) -> None:
    """A limit or a rule is the user's, a block is whose it is, a denial the address's."""
    assert ruled(outcome) == counted


def test_what_is_not_known_is_not_counted() -> None:
    """A denied or wrong credential's address that nobody knows is nobody."""
    assert ruled(Denied(), address=None) == []
    most = MostRefused(StillClock())
    most.hear_credentials(None)
    assert most.most(10) == []
    most.hear_credentials(HOME.name)
    (told,) = most.most(10)
    assert (told.offender, told.last_reason) == (HOME, "failed_credentials")
