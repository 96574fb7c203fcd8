"""The v2 contract's health: 200 when tokens can be issued, else 503 and why, by dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from live_token import HEALTH

if TYPE_CHECKING:
    from client import Answer
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

FOR_LONG = 1_000_000


def why(answer: Answer) -> dict[str, str]:
    """Return what a refusal says of each dependency that does not serve."""
    told: dict[str, str] = {}
    for detail in answer.body.get("details", ()):
        metadata = detail.get("metadata", {})
        if "name" in metadata:
            told[metadata["name"]] = detail["reason"]
    return told


def refuses(answer: Answer, **reasons: str) -> bool:
    """Whether it is 503 for exactly these dependencies, in the one body of refusals."""
    if answer.status != 503 or why(answer) != reasons:
        return False
    assert answer.body["success"] is False
    assert answer.headers["Retry-After"] == str(answer.body["retryAfter"])
    assert all(name in answer.body["error"] for name in reasons)
    return True


async def test_it_is_200_while_tokens_can_be_issued(chain: Chain) -> None:
    """And names each dependency; no credentials are needed, and bad ones do not matter."""
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "nonsense"}):
        answer = await chain.call("GET", HEALTH, headers=headers)
        assert answer.status == 200
        assert answer.body["success"] is True
        assert answer.body["data"]["status"] == "SERVING"
        assert answer.body["data"]["dependencies"].items() >= {
            ("policy", "SERVING"),
            ("gemini", "SERVING"),
        }


async def test_policy_down_and_back(chain: Chain) -> None:
    """503 names policy while it is away, and a mint is refused; then all is well."""
    await chain.policy.stop()
    answer = await chain.until(lambda answer: refuses(answer, policy="POLICY_UNAVAILABLE"))
    assert answer.body["code"] == "POLICY_UNAVAILABLE"
    assert (await chain.mint()).status == 503
    await chain.policy.start()
    await chain.until_healthy()
    assert (await chain.mint()).status == 200


@pytest.mark.parametrize(
    "fault, reason",
    [
        ({"status": 503}, "UPSTREAM_UNAVAILABLE"),
        ({"disconnect": True}, "UPSTREAM_UNAVAILABLE"),
        ({"status": 429}, "UPSTREAM_UNAVAILABLE"),
        ({"status": 403}, "UPSTREAM_MISCONFIGURED"),
        ({"status": 400}, "UPSTREAM_MISCONFIGURED"),
    ],
    ids=str,
)
async def test_gemini_down_and_back(chain: Chain, fault: dict[str, Any], reason: str) -> None:
    """503 names Gemini, and whether it is away or refuses for our fault; then all is well."""
    chain.fail("models", count=FOR_LONG, **fault)
    answer = await chain.until(lambda answer: refuses(answer, gemini=reason))
    assert answer.body["code"] == "UPSTREAM_UNAVAILABLE"
    chain.mend()
    await chain.until_healthy()
    assert (await chain.mint()).status == 200


async def test_a_key_that_may_not_mint(chain: Chain) -> None:
    """The probe cannot know: the mint that is refused says so, until the next answer."""
    chain.fail(status=403)
    assert (await chain.mint()).status == 502
    await chain.until_healthy()


async def test_both_down(chain: Chain) -> None:
    """Each is named, with its own reason."""
    chain.fail("models", count=FOR_LONG, status=403)
    await chain.policy.stop()
    await chain.until(
        lambda answer: refuses(answer, policy="POLICY_UNAVAILABLE", gemini="UPSTREAM_MISCONFIGURED")
    )


async def test_tokenservice_down(chain: Chain) -> None:
    """503 too: the gateway alone can issue nothing."""
    await chain.tokenservice.stop()
    answer = await chain.call("GET", HEALTH)
    assert (answer.status, answer.body["success"]) == (503, False)
    assert answer.headers["Retry-After"] == str(answer.body["retryAfter"])
    await chain.tokenservice.start()
    await chain.until_healthy()
