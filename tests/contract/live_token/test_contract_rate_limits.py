"""How much is left, as the whole chain tells it in headers: what is said is what then happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import http_sf
import pytest
from live_token import HOUR, MINUTE, USAGE

if TYPE_CHECKING:
    from client import Answer

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

POLICIES = {
    "tokens_per_hour": {"q": 2, "w": 3_600},
    "tokens_per_day": {"q": 100, "w": 86_400},
    "cooldown": {"q": 1, "w": 300},
    "concurrent_sessions": {"q": 5},
}


def read(answer: Answer, name: str) -> dict[str, dict[str, int]]:
    """Return what a field says: parameters, by the limit's name."""
    items: Any = http_sf.parse(answer.headers[name].encode(), tltype="list")
    return dict(items)


async def test_what_is_told_is_what_happens(launch: Any) -> None:
    """Who waits as long as the fields say has its next token, and the fields agree throughout."""
    chain = await launch(
        LIVE_API_MAX_TOKENS_PER_HOUR="2",
        LIVE_API_COOLDOWN_PERIOD_MINUTES="5",
        LIVE_API_MAX_CONCURRENT_SESSIONS="5",
    )
    fresh = await chain.call("GET", USAGE, subject="ann")
    assert read(fresh, "RateLimit-Policy") == POLICIES
    assert fresh.headers["Retry-After"] == "0"

    minted = await chain.mint()
    assert read(minted, "RateLimit-Policy") == POLICIES
    assert read(minted, "RateLimit") == {
        "tokens_per_hour": {"r": 1},
        "tokens_per_day": {"r": 99},
        "cooldown": {"r": 0, "t": 300},
        "concurrent_sessions": {"r": 4},
    }
    assert minted.headers["Retry-After"] == "300"

    chain.clock.advance(0.001)
    early = await chain.mint()
    assert (early.status, early.headers["Retry-After"]) == (429, "300")
    assert read(early, "RateLimit-Policy") == {"cooldown": {"q": 1, "w": 300}}
    assert read(early, "RateLimit") == {"cooldown": {"r": 0, "t": 300}}

    chain.clock.advance(5 * MINUTE)
    second = await chain.mint()
    assert (second.status, second.headers["Retry-After"]) == (200, "3300")
    assert read(second, "RateLimit")["tokens_per_hour"] == {"r": 0, "t": 3_300}

    chain.clock.advance(5 * MINUTE)
    full = await chain.mint()
    assert full.status == 429
    assert read(full, "RateLimit-Policy") == {"tokens_per_hour": {"q": 2, "w": 3_600}}
    wait = read(full, "RateLimit")["tokens_per_hour"]["t"]
    assert full.headers["Retry-After"] == str(wait) == str(full.body["retryAfter"])
    assert wait <= HOUR

    chain.clock.advance(wait)
    assert (await chain.mint()).status == 200


async def test_a_problem_names_the_policy_of_the_fields(launch: Any) -> None:
    """The limit is the same by name in problem details, in the fields and in the details."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="1", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    assert (await chain.mint()).status == 200
    headers = {"Accept": "application/problem+json"}
    refused = await chain.call(subject="ann", headers=headers)
    assert refused.headers["Content-Type"] == "application/problem+json"
    (policy,) = refused.body["violated-policies"]
    assert set(read(refused, "RateLimit")) == {policy} == {"tokens_per_hour"}
    (quota,) = (each for each in refused.body["details"] if "violations" in each)
    assert quota["violations"] == [
        {
            "subject": "tokens_per_hour",
            "description": "1 tokens per hour",
            "quotaId": "tokens_per_hour",
            "quotaValue": "1",
        }
    ]


@pytest.mark.parametrize("headers", [{"Accept": "text/html"}, {"Grpc-Timeout": "0S"}])
async def test_who_could_have_no_answer_has_no_token(launch: Any, headers: Any) -> None:
    """What is refused by its headers alone mints nothing, and costs nothing."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    answer = await chain.call(subject="ann", headers=headers)
    assert answer.status in {406, 504}
    assert chain.minted == 0
    assert (await chain.usage())["tokensLastDay"] == 0
