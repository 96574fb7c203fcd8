"""The v2 contract's counting: windows to the millisecond, the cooldown, and what is given back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from identity_rows import StillClock
from live_token import DAY, HOUR, MINUTE, eventually

if TYPE_CHECKING:
    from client import Answer
    from live_token import Chain
    from servers import ValkeyServer

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

MILLISECOND = 0.001


def limited(answer: Answer, words: str, wait: int) -> bool:
    """Whether a limit refused, in these words and for so long."""
    told = (answer.status, answer.body["error"], answer.body["retryAfter"])
    return told == (429, f"Rate limit exceeded: {words}", wait)


async def test_the_hour_is_a_rolling_window(launch: Any) -> None:
    """A token counts for 3,600 s from its issue: to the millisecond, and each for itself."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="3", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    for _ in range(3):
        assert (await chain.mint()).status == 200
        chain.clock.advance(10 * MINUTE)
    words = "3 tokens per hour"
    assert limited(await chain.mint(), words, 30 * MINUTE)
    chain.clock.advance(30 * MINUTE - MILLISECOND)
    assert limited(await chain.mint(), words, 1)
    chain.clock.advance(MILLISECOND)
    assert (await chain.mint()).status == 200
    assert limited(await chain.mint(), words, 10 * MINUTE), "until the second is as old"


async def test_the_day_is_a_rolling_window(launch: Any) -> None:
    """A token counts for 86,400 s from its issue, over midnight."""
    chain = await launch(
        LIVE_API_MAX_TOKENS_PER_HOUR="2",
        LIVE_API_MAX_TOKENS_PER_DAY="2",
        LIVE_API_COOLDOWN_PERIOD_MINUTES="0",
    )
    chain.clock.advance(13 * HOUR)
    for _ in range(2):
        assert (await chain.mint()).status == 200
        chain.clock.advance(2 * HOUR)
    words = "2 tokens per day"
    assert limited(await chain.mint(), words, 20 * HOUR)
    chain.clock.advance(20 * HOUR - MILLISECOND)
    assert limited(await chain.mint(), words, 1)
    chain.clock.advance(MILLISECOND)
    assert (await chain.mint()).status == 200
    assert limited(await chain.mint(), words, 2 * HOUR)


async def test_a_token_counts_whatever_its_own_expiry(launch: Any) -> None:
    """One of a minute counts for the hour and the day; it is active for that minute alone."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="1", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    assert (await chain.mint(duration=1)).status == 200

    async def counted() -> list[int]:
        usage = await chain.usage()
        return [usage[name] for name in ("activeTokens", "tokensLastHour", "tokensLastDay")]

    told = []
    for passed in (MINUTE - MILLISECOND, MILLISECOND, HOUR - MINUTE - MILLISECOND):
        chain.clock.advance(passed)
        told.append(await counted())
        assert (await chain.mint()).status == 429
    for passed in (MILLISECOND, DAY - HOUR - MILLISECOND, MILLISECOND):
        chain.clock.advance(passed)
        told.append(await counted())
    assert told == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


async def test_a_token_of_an_hour_stays_active(launch: Any) -> None:
    """Active is what has not expired, be it older than the hour."""
    chain = await launch(
        LIVE_API_MAX_TOKEN_DURATION_MINUTES="120", LIVE_API_COOLDOWN_PERIOD_MINUTES="0"
    )
    assert (await chain.mint(duration=120)).status == 200
    chain.clock.advance(2 * HOUR - MILLISECOND)
    usage = await chain.usage()
    assert (usage["activeTokens"], usage["tokensLastHour"]) == (1, 0)
    chain.clock.advance(MILLISECOND)
    assert (await chain.usage())["activeTokens"] == 0


async def test_the_cooldown_runs_from_the_last_issued_token(chain: Chain) -> None:
    """To the millisecond; no refusal in between makes it longer, and it is the user's own."""
    assert (await chain.mint()).status == 200
    for passed, left in ((100, 200), (100, 100), (100 - MILLISECOND, 1)):
        chain.clock.advance(passed)
        assert limited(await chain.mint(), f"cooldown, try again in {left} seconds", left)
    assert (await chain.mint("bob")).status == 200
    chain.clock.advance(MILLISECOND)
    assert (await chain.mint()).status == 200
    assert limited(await chain.mint(), "cooldown, try again in 300 seconds", 300)


async def test_a_cooldown_of_0_is_off(launch: Any) -> None:
    """Ten within the same millisecond, and it is no limit that `usage` shows."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    for _ in range(10):
        assert (await chain.mint()).status == 200
    assert {each["limit"] for each in (await chain.usage())["byLimit"]} == {
        "tokens_per_hour",
        "tokens_per_day",
    }


async def test_the_strictest_limit_is_the_one_that_is_told(launch: Any) -> None:
    """Of several that refuse, the one that refuses longest."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="1")
    assert (await chain.mint()).status == 200
    assert limited(await chain.mint(), "1 tokens per hour", HOUR)


@pytest.mark.parametrize(
    "fault",
    [{"status": 403}, {"status": 429}, {"status": 503}, {"garbage": True}, {"disconnect": True}],
    ids=str,
)
async def test_a_mint_that_fails_gives_its_quota_back_once(
    launch: Any, fault: dict[str, Any]
) -> None:
    """Cooldown included: after three failures there are as many tokens as before, and no more."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="2", LIVE_API_COOLDOWN_PERIOD_MINUTES="1")
    assert (await chain.mint()).status == 200
    chain.clock.advance(MINUTE)
    for _ in range(3):
        chain.fail(count=2, **fault)
        assert (await chain.mint()).status in {502, 503}
        usage = await chain.usage()
        assert (usage["activeTokens"], usage["tokensLastHour"], usage["tokensLastDay"]) == (1, 1, 1)
        assert "nextAllowedAt" not in usage
    chain.mend()
    assert (await chain.mint()).status == 200
    chain.clock.advance(MINUTE)
    assert limited(await chain.mint(), "2 tokens per hour", HOUR - 2 * MINUTE)


async def test_a_caller_who_goes_away_pays_for_no_token_twice(chain: Chain) -> None:
    """What began runs on: the token is there for a repeat, and was charged once."""
    headers = {"Idempotency-Key": "k"}
    async with chain.held() as asked:
        leaving = asyncio.create_task(chain.call(subject="ann", headers=headers))
        await asked()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await eventually(lambda: chain.minted == 1)
    again = await chain.call(subject="ann", headers=headers)
    while again.status == 409:  # made, and about to be committed
        again = await chain.call(subject="ann", headers=headers)
    assert again.status == 200
    assert again.body["usage"]["tokensLastDay"] == 1
    assert chain.minted == 1


@pytest.mark.parametrize("cooldown, issued", [("5", 1), ("0", 10)])
async def test_requests_at_once_never_get_more(launch: Any, cooldown: str, issued: int) -> None:
    """Of 40 at the same instant, as many as the limits allow; Gemini made no more."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES=cooldown)
    answers = await asyncio.gather(*(chain.mint() for _ in range(40)))
    assert sorted(answer.status for answer in answers) == [200] * issued + [429] * (40 - issued)
    assert chain.minted == issued
    assert (await chain.usage())["tokensLastDay"] == issued


@pytest.mark.parametrize("cooldown, issued", [("5", 1), ("0", 10)])
async def test_nor_through_several_replicas(
    launch: Any, server: ValkeyServer, cooldown: str, issued: int
) -> None:
    """Three chains with one store: together they issue as many as one would."""
    now = StillClock(round(time.time() * 1000))  # the store has a clock of its own
    replicas = [
        await launch(
            clock=now,
            LIVE_API_COOLDOWN_PERIOD_MINUTES=cooldown,
            POLICY_STORE_URL=server.url,
            POLICY_STORE_PREFIX=f"contract-{cooldown}",
            POLICY_STORE_TIMEOUT_MS="5000",
            POLICY_HASH_KEY="shared" * 6,
        )
        for _ in range(3)
    ]
    answers = await asyncio.gather(*(chain.mint() for chain in replicas * 13))
    assert sorted(answer.status for answer in answers) == [200] * issued + [429] * (39 - issued)
    assert sum(chain.minted for chain in replicas) == issued
    assert (await replicas[0].usage())["tokensLastDay"] == issued
