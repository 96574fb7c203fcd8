"""Durations of the last minute: how exact what is told of them is, and that they are forgotten."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st
from policy_server import StillClock

from serving.recent import Quantiles, RecentDurations

SECOND = 1_000
SECONDS = st.floats(1e-5, 100)
WITHIN = 1.1


def nearest_rank(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share of the values does not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


@given(st.lists(SECONDS, min_size=1, max_size=300))
def test_what_is_told_is_within_ten_percent(values: list[float]) -> None:
    """Median and 99th percentile are, within 10 %, values that were measured, and of that rank."""
    recent = RecentDurations(StillClock())
    for each in values:
        recent.took(each)
    told = recent.quantiles()
    assert told.count == len(values)
    for quantile, share in ((told.p50, 0.5), (told.p99, 0.99)):
        exact = nearest_rank(values, share)
        assert exact / WITHIN <= quantile <= exact * WITHIN


@given(st.lists(st.tuples(st.integers(0, 70 * SECOND), SECONDS), max_size=60))
def test_a_minute_is_remembered(steps: list[tuple[int, float]]) -> None:
    """All of the last 55 seconds counts, and nothing that is 60 seconds old."""
    clock = StillClock()
    recent, told = RecentDurations(clock), []
    for later, seconds in steps:
        clock.now += later
        recent.took(seconds)
        told.append(clock.now)
        ages = [clock.now - at for at in told]
        least, most = (sum(age < most * SECOND for age in ages) for most in (55, 60))
        assert least <= recent.quantiles().count <= most


@pytest.mark.parametrize("seconds, told", [(0.0, 1e-5), (-1.0, 1e-5), (1e6, 100.0)])
def test_what_is_out_of_range_counts_at_its_edge(seconds: float, told: float) -> None:
    """A duration that is absurd is counted as the shortest or the longest that there is."""
    recent = RecentDurations(StillClock())
    recent.took(seconds)
    assert told / 1.25 <= recent.quantiles().p50 <= told * 1.25


def test_without_anything_there_are_no_times() -> None:
    """Of nothing, no quantile is told; after a minute without anything, again."""
    clock = StillClock()
    recent = RecentDurations(clock)
    assert recent.quantiles() == Quantiles()
    recent.took(1)
    clock.now += 24 * 3_600 * SECOND
    assert recent.quantiles() == Quantiles()


def test_a_clock_that_was_set_back_loses_nothing() -> None:
    """What was counted stays, and what comes counts with it."""
    clock = StillClock()
    recent = RecentDurations(clock)
    recent.took(1)
    clock.now -= 3_600 * SECOND
    recent.took(1)
    assert recent.quantiles().count == 2


def test_a_block_is_timed_however_it_ends() -> None:
    """A block that raises was measured like any other, and what it raises passes."""
    recent = RecentDurations(StillClock())
    with recent.timing():
        pass
    with pytest.raises(ZeroDivisionError), recent.timing():
        raise ZeroDivisionError
    assert recent.quantiles().count == 2
