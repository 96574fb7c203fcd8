"""How much is left, on every mint and usage answer, as a client of the draft reads it."""

from typing import Any

import http_sf
import pytest

from serving import errors
from tokenservice.v1 import tokenservice_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
NOW = 1_767_225_600
FIELDS = ("RateLimit-Policy", "RateLimit")
ASKED = [("POST", MINT), ("GET", MINT + "/usage"), ("HEAD", MINT + "/usage")]


def use(limit: str, value: float, used: float, wait: int | None = None) -> pb.LimitUse:
    """Return how much of a limit is used, and in how many seconds it allows the next token."""
    answer = pb.LimitUse(limit=limit, value=value, used=used)
    if wait is not None:
        answer.next_allowed_time.seconds = NOW + wait
    return answer


def read(answer: Any, name: str) -> dict[str, dict[str, int]]:
    """Return what a field says: parameters, by the limit's name."""
    items: Any = http_sf.parse(answer.headers[name].encode(), tltype="list")
    return dict(items)


@pytest.mark.parametrize("method, path", ASKED)
async def test_mint_and_usage_say_what_is_left(gateway: Any, method: str, path: str) -> None:
    """Each limit that is on is a policy, with what remains and when there is more."""
    gateway.service.by_limit = [
        use("tokens_per_hour", 10, 1),
        use("tokens_per_day", 100, 100, 7_200),
        use("cooldown", 300, 300, 300),
        use("concurrent_sessions", 2, 1),
    ]
    gateway.service.next_allowed_at = NOW + 7_200
    answer = await gateway.browser.ask(method, path)
    assert answer.status == 200
    assert read(answer, "RateLimit-Policy") == {
        "tokens_per_hour": {"q": 10, "w": 3_600},
        "tokens_per_day": {"q": 100, "w": 86_400},
        "cooldown": {"q": 1, "w": 300},
        "concurrent_sessions": {"q": 2},
    }
    assert read(answer, "RateLimit") == {
        "tokens_per_hour": {"r": 9},
        "tokens_per_day": {"r": 0, "t": 7_200},
        "cooldown": {"r": 0, "t": 300},
        "concurrent_sessions": {"r": 1},
    }
    assert answer.headers["Retry-After"] == "7200"


@pytest.mark.parametrize("method, path", ASKED)
async def test_who_may_mint_now_is_told_so(gateway: Any, method: str, path: str) -> None:
    """Retry-After is on every such answer: 0, where the next token is allowed now."""
    gateway.service.by_limit = [use("tokens_per_hour", 10, 1)]
    answer = await gateway.browser.ask(method, path)
    assert answer.headers["Retry-After"] == "0"
    assert answer.headers["RateLimit"] == '"tokens_per_hour";r=9'
    assert answer.headers["RateLimit-Policy"] == '"tokens_per_hour";q=10;w=3600'


async def test_where_no_limit_is_on_there_is_none_to_tell(gateway: Any) -> None:
    """The fields may not be empty, so they are absent."""
    gateway.service.by_limit = []
    answer = await gateway.browser.ask("POST", MINT)
    assert not {*FIELDS} & {*answer.headers}
    assert answer.headers["Retry-After"] == "0"


@pytest.mark.parametrize("method, path", [("POST", MINT), ("GET", MINT + "/usage")])
@pytest.mark.parametrize(
    "limit, value, policy",
    [
        ("tokens_per_hour", 10, {"q": 10, "w": 3_600}),
        ("tokens_per_day", 100, {"q": 100, "w": 86_400}),
        ("cooldown", 300, {"q": 1, "w": 300}),
        ("concurrent_sessions", 2, {"q": 2}),
    ],
)
async def test_a_429_says_which_limit_was_met(  # noqa: PLR0917
    gateway: Any, method: str, path: str, limit: str, value: int, policy: dict[str, int]
) -> None:
    """Of the limit that was met nothing is left until Retry-After, and its policy is named."""
    violation = errors.QuotaViolation(limit, "words", value)
    gateway.service.failure = errors.QuotaExceeded("Rate limit", violation, retry_after=11.2)
    answer = await gateway.browser.ask(method, path)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "12")
    assert read(answer, "RateLimit-Policy") == {limit: policy}
    assert read(answer, "RateLimit") == {limit: {"r": 0, "t": 12}}
    (quota,) = (each for each in answer.body["details"] if "violations" in each)
    assert quota["violations"][0]["quotaValue"] == str(value)


async def test_what_is_not_known_is_left_out_of_a_429(gateway: Any) -> None:
    """A limit without a value has no policy; without a wait, it has no reset."""
    violation = errors.QuotaViolation("unknown", "words")
    gateway.service.failure = errors.QuotaExceeded("Rate limit", violation, retry_after=None)
    answer = await gateway.browser.ask("POST", MINT)
    assert answer.headers["RateLimit"] == '"unknown";r=0'
    assert not {"RateLimit-Policy", "Retry-After"} & {*answer.headers}


@pytest.mark.parametrize(
    "method, path, options, status",
    [
        ("POST", MINT, {"headers": {}}, 401),
        ("POST", MINT, {"json": {"duration": "x"}}, 400),
        ("GET", MINT, {}, 405),
        ("GET", MINT + "/stats", {}, 403),
        ("GET", MINT + "/config", {}, 200),
        ("GET", MINT + "/health", {}, 200),
    ],
)
async def test_other_answers_say_nothing_of_it(
    gateway: Any, method: str, path: str, options: Any, status: int
) -> None:
    """Who is not known to have a quota is told nothing of one."""
    answer = await gateway.browser.ask(method, path, **options)
    assert answer.status == status
    assert not {*FIELDS, "Retry-After"} & {*answer.headers}


async def test_abuse_names_no_limit(gateway: Any) -> None:
    """A refusal that is for no limit says when to come back, and of limits nothing."""
    failure = errors.Throttled(retry_after=9)
    failure.reason = "ABUSE_DETECTED"
    gateway.service.failure = failure
    answer = await gateway.browser.ask("POST", MINT)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "9")
    assert not {*FIELDS} & {*answer.headers}
