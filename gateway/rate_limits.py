"""`RateLimit-Policy`, `RateLimit` and `Retry-After`: how much a caller has left, and until when.

By draft-ietf-httpapi-ratelimit-headers-10. One quota unit, which is its default,
a request, is a mint that succeeds: nothing else is counted. Each limit of a
caller is one policy, named as in `usage.byLimit`:

- `tokens_per_hour` and `tokens_per_day` are `q` tokens in any `w` seconds;
- `cooldown` is one in `w`, so its `r` is 0 or 1;
- `concurrent_sessions` has no window: a token comes back when it expires.

`t` is whole seconds, rounded up, until the limit allows the next token. While
it does, `t` is left out: when an old token leaves the window is not told.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import http_sf
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from tokenservice.v1 import tokenservice_pb2 as pb

_COOLDOWN = "cooldown"
_WINDOWS = {"tokens_per_hour": 3_600, "tokens_per_day": 86_400}
_MAX_INTEGER = 999_999_999_999_999  # RFC 9651, 3.3.1


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """So many tokens, in any so many seconds if there is a window."""

    name: str
    quota: int
    window: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceLimit:
    """How many tokens a policy still allows, and in how many seconds the next, if none now."""

    name: str
    remaining: int
    reset: int | None = None


def usage_in(response: Message) -> pb.Usage | None:
    """Return the caller's usage that a response tells, None if it tells none."""
    match response:
        case pb.CreateTokenResponse():
            return response.usage
        case pb.GetUsageResponse():
            return response.data
        case _:
            return None


def of_usage(usage: pb.Usage, now: float) -> dict[str, str]:
    """Return the header fields for a caller whose usage is this at `now`, in Unix time.

    `Retry-After` is there whatever it says, 0 too: RFC 9110, 10.2.3, has it on
    any answer, for the next request, and clients act on it only where they
    retry. Here that is the next mint.
    """
    fields = _fields(
        [_policy(use.limit, use.value) for use in usage.by_limit],
        [_service_limit(use, now) for use in usage.by_limit],
    )
    wait = _seconds(usage.next_allowed_time, now) if usage.HasField("next_allowed_time") else 0
    return fields | {"Retry-After": str(wait)}


def of_violations(
    violations: Iterable[error_details_pb2.QuotaFailure.Violation], retry_after: int | None
) -> dict[str, str]:
    """Return the header fields for a caller who met these limits; `retry_after` in seconds.

    A limit whose value was not told has no policy, which must have one.
    """
    met = [each for each in violations if each.subject.isascii() and each.subject.isprintable()]
    return _fields(
        [_policy(each.subject, each.quota_value) for each in met if each.quota_value > 0],
        [ServiceLimit(each.subject, 0, retry_after) for each in met],
    )


def _policy(limit: str, value: float) -> QuotaPolicy:
    if limit == _COOLDOWN:
        return QuotaPolicy(limit, 1, max(1, math.ceil(value)))
    return QuotaPolicy(limit, int(value), _WINDOWS.get(limit))


def _service_limit(use: pb.LimitUse, now: float) -> ServiceLimit:
    if use.limit == _COOLDOWN:
        remaining = 0 if use.used > 0 else 1
    else:
        remaining = max(0, int(use.value - use.used))
    waiting = use.HasField("next_allowed_time")
    reset = _seconds(use.next_allowed_time, now) if waiting else None
    return ServiceLimit(use.limit, remaining, reset)


def _seconds(moment: Timestamp, now: float) -> int:
    """Return the whole seconds until a moment, 0 if it has passed by the clock here."""
    return max(0, math.ceil(moment.seconds + moment.nanos / 1e9 - now))


def _fields(policies: Iterable[QuotaPolicy], limits: Iterable[ServiceLimit]) -> dict[str, str]:
    written = {
        "RateLimit-Policy": [_member(each.name, q=each.quota, w=each.window) for each in policies],
        "RateLimit": [_member(each.name, r=each.remaining, t=each.reset) for each in limits],
    }
    return {name: ", ".join(members) for name, members in written.items() if members}


@functools.lru_cache(maxsize=1_024)  # small numbers come again, and writing one takes 10 µs
def _member(name: str, **parameters: int | None) -> str:
    """Return a member of a structured field's List; parameters that are None are left out."""
    known: dict[str, Any] = {
        key: min(value, _MAX_INTEGER) for key, value in parameters.items() if value is not None
    }
    return http_sf.ser([(name, known)])
