"""The arithmetic of quotas."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from policy.limits import DAY_MS, HOUR_MS, Limit, Limits, Spend, refusal

NOW = 1_767_225_600_000
COOLDOWN = 5_000
OFF = Limits(tokens_per_hour=1_000, tokens_per_day=1_000, cooldown_ms=0, concurrent_sessions=0)
LONG = 10 * DAY_MS


def issued(at: int, *, count: int = 1, lasts: int = LONG) -> Spend:
    """Return tokens that were issued together."""
    return Spend(at, count, at + lasts)


def test_the_windows_are_an_hour_and_a_day() -> None:
    """An hour is 3,600 s and a day 86,400 s."""
    assert (HOUR_MS, DAY_MS) == (3_600_000, 86_400_000)


@pytest.mark.parametrize(
    "limits, limit, value, window",
    [
        (Limits(2, 1_000, 0, 0), Limit.TOKENS_PER_HOUR, 2, HOUR_MS),
        (Limits(2, 2, 0, 0), Limit.TOKENS_PER_DAY, 2, DAY_MS),
        (Limits(1_000, 1_000, COOLDOWN, 0), Limit.COOLDOWN, COOLDOWN, COOLDOWN),
        (Limits(1_000, 1_000, 0, 2), Limit.CONCURRENT_SESSIONS, 2, COOLDOWN),
    ],
    ids=lambda value: value.value if isinstance(value, Limit) else "",
)
def test_a_place_is_free_at_the_end_of_its_window_to_the_millisecond(
    limits: Limits, limit: Limit, value: int, window: int
) -> None:
    """A charge at t refuses at t + window - 1 and no longer at t + window."""
    spends = [issued(NOW, count=2, lasts=COOLDOWN)]
    verdict = refusal(spends, 1, limits, NOW + window - 1)
    assert verdict is not None
    assert (verdict.limit, verdict.value) == (limit, value)
    assert verdict.next_allowed_at == NOW + window
    assert refusal(spends, 1, limits, NOW + window) is None


def test_a_limit_grants_as_many_as_it_says() -> None:
    """The last place is granted, the one after it is not."""
    limits = Limits(3, 1_000, 0, 0)
    assert refusal([], 3, limits, NOW) is None
    assert refusal([issued(NOW), issued(NOW)], 1, limits, NOW) is None
    assert refusal([issued(NOW), issued(NOW)], 2, limits, NOW) is not None
    assert refusal([issued(NOW, count=3)], 1, limits, NOW) is not None


def test_the_strictest_refusal_wins() -> None:
    """Of several limits that refuse, the one that refuses longest is the answer."""
    everything = Limits(1, 1, COOLDOWN, 1)
    spends = [issued(NOW, lasts=60_000)]
    verdict = refusal(spends, 1, everything, NOW)
    assert verdict is not None
    assert verdict.limit is Limit.TOKENS_PER_DAY
    verdict = refusal(spends, 1, Limits(1, 9, COOLDOWN, 1), NOW)
    assert verdict is not None
    assert verdict.limit is Limit.TOKENS_PER_HOUR
    verdict = refusal(spends, 1, Limits(9, 9, COOLDOWN, 1), NOW)
    assert verdict is not None
    assert verdict.limit is Limit.CONCURRENT_SESSIONS
    verdict = refusal(spends, 1, Limits(9, 9, COOLDOWN, 9), NOW)
    assert verdict is not None
    assert verdict.limit is Limit.COOLDOWN


def test_never_is_stricter_than_any_time() -> None:
    """What no waiting can grant is said to be so, whatever else refuses."""
    verdict = refusal([issued(NOW)], 3, Limits(2, 1_000, 7 * DAY_MS, 0), NOW)
    assert verdict is not None
    assert (verdict.limit, verdict.next_allowed_at) == (Limit.TOKENS_PER_HOUR, None)


@pytest.mark.parametrize("limits", [Limits(2, 9, 0, 0), Limits(9, 2, 0, 0), Limits(9, 9, 0, 2)])
def test_more_than_a_limit_is_never_granted(limits: Limits) -> None:
    """A count beyond a limit is refused for ever, to a user without charges too."""
    verdict = refusal([], 3, limits, NOW)
    assert verdict is not None
    assert verdict.next_allowed_at is None


def test_the_wait_is_for_as_many_places_as_are_asked_for() -> None:
    """Three places are free when the third of those taken is given back, no sooner."""
    spends = [issued(NOW + step) for step in (0, 10, 20, 30)]
    for count, opens in ((1, 0), (2, 10), (3, 20), (4, 30)):
        verdict = refusal(spends, count, Limits(4, 99, 0, 0), NOW + 40)
        assert verdict is not None
        assert verdict.next_allowed_at == NOW + opens + HOUR_MS


def test_zero_switches_cooldown_and_sessions_off() -> None:
    """A cooldown of 0 and 0 concurrent sessions refuse nothing."""
    assert refusal([issued(NOW, count=900)], 1, OFF, NOW) is None


def test_the_cooldown_waits_for_a_token_that_may_yet_be_issued() -> None:
    """While a mint is under way its token may come at any time: the cooldown holds until then."""
    pending = Spend(NOW, 1, NOW + 30_000, pending=True)
    limits = Limits(9, 9, COOLDOWN, 0)
    verdict = refusal([pending], 1, limits, NOW + COOLDOWN)
    assert verdict is not None
    assert (verdict.limit, verdict.next_allowed_at) == (Limit.COOLDOWN, NOW + 30_000)
    assert refusal([pending], 1, Limits(9, 9, 0, 0), NOW + COOLDOWN) is None


STEPS = st.sampled_from(
    [0, 1, COOLDOWN - 1, COOLDOWN, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, DAY_MS - HOUR_MS, DAY_MS - 1]
)
SMALL = st.builds(
    Limits,
    tokens_per_hour=st.integers(1, 3),
    tokens_per_day=st.integers(1, 5),
    cooldown_ms=st.sampled_from([0, 1, COOLDOWN, HOUR_MS]),
    concurrent_sessions=st.integers(0, 3),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Spend], int]:
    """Return charges in order of time, and a moment that is not before them."""
    at, spends = NOW, []
    for _ in range(draw(st.integers(0, 6))):
        lasts = st.sampled_from([1, COOLDOWN, HOUR_MS, DAY_MS])
        spends.append(Spend(at, draw(st.integers(1, 2)), at + draw(lasts)))
        at += draw(STEPS)
    return spends, at


def plainly_allowed(spends: Sequence[Spend], count: int, limits: Limits, now: int) -> bool:
    """Say by counting one by one whether `count` more may pass."""
    tokens = [(spend.at, spend.expires) for spend in spends for _ in range(spend.count)]
    return (
        sum(at > now - HOUR_MS for at, _ in tokens) + count <= limits.tokens_per_hour
        and sum(at > now - DAY_MS for at, _ in tokens) + count <= limits.tokens_per_day
        and all(now - at >= limits.cooldown_ms for at, _ in tokens)
        and (
            limits.concurrent_sessions == 0
            or sum(expiry > now for _, expiry in tokens) + count <= limits.concurrent_sessions
        )
    )


@given(history=histories(), count=st.integers(1, 3), limits=SMALL)
def test_refusal_agrees_with_plain_counting(
    history: tuple[list[Spend], int], count: int, limits: Limits
) -> None:
    """What is refused is what counting one by one refuses, and the wait is tight."""
    spends, now = history
    verdict = refusal(spends, count, limits, now)
    assert (verdict is None) == plainly_allowed(spends, count, limits, now)
    if verdict is None:
        return
    opens = verdict.next_allowed_at
    if opens is None:
        assert not plainly_allowed([], count, limits, now)
        return
    assert opens > now
    assert not plainly_allowed(spends, count, limits, opens - 1)
    assert plainly_allowed(spends, count, limits, opens)
    assert refusal(spends, count, limits, opens - 1) is not None
    assert refusal(spends, count, limits, opens) is None
