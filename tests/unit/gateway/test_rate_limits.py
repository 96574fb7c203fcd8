"""The rate limit fields: what a client that reads structured fields understands."""

from typing import Any

import http_sf
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from gateway import rate_limits
from tokenservice.v1 import tokenservice_pb2 as pb

NOW = 1_767_225_600.25


def use(limit: str, value: float, used: float, wait: float | None = None) -> pb.LimitUse:
    """Return how much of a limit is used, and for how many seconds from NOW it allows nothing."""
    answer = pb.LimitUse(limit=limit, value=value, used=used)
    if wait is not None:
        answer.next_allowed_time.CopyFrom(moment(wait))
    return answer


def moment(wait: float) -> Timestamp:
    """Return the time in so many seconds from NOW."""
    time = Timestamp()
    time.FromNanoseconds(round((NOW + wait) * 1e3) * 1_000_000)
    return time


def fields(*uses: pb.LimitUse, wait: float | None = None) -> dict[str, str]:
    """Return the fields for a usage with these limits."""
    usage = pb.Usage(by_limit=uses)
    if wait is not None:
        usage.next_allowed_time.CopyFrom(moment(wait))
    return rate_limits.of_usage(usage, NOW)


def read(value: str) -> dict[str, Any]:
    """Return what a client reads in a field: parameters by name."""
    items: Any = http_sf.parse(value.encode(), tltype="list")
    assert all(type(name) is str for name, _ in items)
    assert all(type(each) is int and each >= 0 for _, found in items for each in found.values())
    return dict(items)


def test_a_policy_for_each_limit() -> None:
    """Each limit is a policy of tokens in seconds; unexpired tokens have no window."""
    answer = fields(
        use("tokens_per_hour", 10, 1),
        use("tokens_per_day", 100, 1),
        use("cooldown", 300, 300, 300),
        use("concurrent_sessions", 2, 1),
    )
    assert read(answer["RateLimit-Policy"]) == {
        "tokens_per_hour": {"q": 10, "w": 3600},
        "tokens_per_day": {"q": 100, "w": 86_400},
        "cooldown": {"q": 1, "w": 300},
        "concurrent_sessions": {"q": 2},
    }
    assert read(answer["RateLimit"]) == {
        "tokens_per_hour": {"r": 9},
        "tokens_per_day": {"r": 99},
        "cooldown": {"r": 0, "t": 300},
        "concurrent_sessions": {"r": 1},
    }


def test_the_form_is_the_drafts() -> None:
    """The fields look as in the draft's examples."""
    answer = fields(use("tokens_per_hour", 10, 10, 1199.5), wait=1199.5)
    assert answer == {
        "RateLimit-Policy": '"tokens_per_hour";q=10;w=3600',
        "RateLimit": '"tokens_per_hour";r=0;t=1200',
        "Retry-After": "1200",
    }


@pytest.mark.parametrize(
    "wait, seconds",
    [(None, None), (-5, 0), (0, 0), (0.001, 1), (0.999, 1), (1, 1), (1.001, 2), (86_399.5, 86_400)],
)
def test_waits_are_whole_seconds(wait: float | None, seconds: int | None) -> None:
    """A wait is rounded up, so that who waits as long is never early; one that has passed is 0."""
    answer = fields(use("tokens_per_day", 1, 1, wait), wait=wait)
    assert read(answer["RateLimit"])["tokens_per_day"].get("t") == seconds
    assert answer["Retry-After"] == str(seconds or 0)


def test_retry_after_is_never_earlier_than_a_limit() -> None:
    """Retry-After is when all limits allow the next token, so at the last of them."""
    answer = fields(use("tokens_per_day", 1, 1, 60), use("cooldown", 300, 5, 5), wait=60)
    resets = [found["t"] for found in read(answer["RateLimit"]).values()]
    assert int(answer["Retry-After"]) == max(resets)


@pytest.mark.parametrize("used", [10, 11, 10_000])
def test_nothing_is_left_of_a_limit_that_was_lowered(used: int) -> None:
    """More may be used than there is, once a limit is lower: what remains is never negative."""
    assert read(fields(use("tokens_per_hour", 10, used))["RateLimit"])["tokens_per_hour"]["r"] == 0


@pytest.mark.parametrize(
    "value, used, window, remaining", [(300, 0, 300, 1), (0.5, 0.25, 1, 0), (1.5, 0, 2, 1)]
)
def test_a_cooldown_is_one_in_its_time(
    value: float, used: float, window: int, remaining: int
) -> None:
    """During the cooldown nothing remains; after it, one does. No window is shorter than 1 s."""
    answer = fields(use("cooldown", value, used))
    assert read(answer["RateLimit-Policy"])["cooldown"] == {"q": 1, "w": window}
    assert read(answer["RateLimit"])["cooldown"] == {"r": remaining}


def test_without_limits_there_is_nothing_to_say() -> None:
    """Where no limit is on, there are no limit fields, for they may not be empty."""
    assert fields() == {"Retry-After": "0"}


def test_numbers_that_the_form_cannot_hold_are_its_largest() -> None:
    """A limit beyond structured fields' integers is no error."""
    answer = fields(use("tokens_per_day", 1e18, 0))
    assert read(answer["RateLimit-Policy"])["tokens_per_day"]["q"] == 10**15 - 1


def violation(subject: str, value: int = 0) -> error_details_pb2.QuotaFailure.Violation:
    """Return a limit that was met."""
    return error_details_pb2.QuotaFailure.Violation(
        subject=subject, quota_id=subject, quota_value=value
    )


def test_a_limit_that_was_met_has_nothing_left() -> None:
    """A refusal says of the limit what it is, that nothing is left of it, and until when."""
    assert rate_limits.of_violations([violation("tokens_per_hour", 10)], 1200) == {
        "RateLimit-Policy": '"tokens_per_hour";q=10;w=3600',
        "RateLimit": '"tokens_per_hour";r=0;t=1200',
    }
    assert rate_limits.of_violations([violation("cooldown", 300)], 12) == {
        "RateLimit-Policy": '"cooldown";q=1;w=300',
        "RateLimit": '"cooldown";r=0;t=12',
    }


def test_what_is_not_known_is_left_out() -> None:
    """Without its value a limit has no policy, and without a wait no reset."""
    assert rate_limits.of_violations([violation("unknown")], None) == {"RateLimit": '"unknown";r=0'}
    assert rate_limits.of_violations([], 5) == {}


@pytest.mark.parametrize("subject", ["clientIP:\n1", "é", "a\x00"])
def test_names_that_no_field_can_hold_are_left_out(subject: str) -> None:
    """A name that would break the field is no error, and not in it."""
    answer = rate_limits.of_violations([violation(subject, 1), violation("cooldown", 300)], 1)
    assert set(read(answer["RateLimit"])) == {"cooldown"}
