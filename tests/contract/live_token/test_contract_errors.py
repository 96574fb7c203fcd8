"""The v2 contract's table of errors: each row, by causing it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from live_token import HOUR, MINT, MINUTE, STATS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client import Answer
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

JSON = {"Content-Type": "application/json"}
UPSTREAM = "API key AIza-not-for-callers of project 123 is suspended"


def check(answer: Answer, status: int, code: str, *, wait: int | None = None) -> dict[str, Any]:
    """Check that an answer is the one body of refusals, and return it."""
    body: dict[str, Any] = answer.body
    assert (answer.status, body["code"]) == (status, code), body
    assert body["success"] is False
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body.get("retryAfter") == wait
    assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["details"][0]["reason"] == code
    return body


async def guess(chain: Chain, address: str, *numbers: int) -> None:
    """Send credentials that are wrong, each time others."""
    for number in numbers:
        headers = {"X-API-Key": f"guess {number}"}
        check(await chain.call("GET", STATS, headers=headers, address=address), 401, UNKNOWN)


UNKNOWN = "UNAUTHENTICATED"
LIMITED = "RATE_LIMIT_EXCEEDED"


# The caller


async def test_no_bad_or_expired_credentials_are_401(chain: Chain) -> None:
    """Waiting helps none of them."""
    expired = f"Bearer {chain.bearer(exp=chain.clock() // 1000 - HOUR)}"
    check(await chain.call(), 401, UNKNOWN)
    check(await chain.call(headers={"Authorization": "Bearer x"}), 401, UNKNOWN)
    check(await chain.call(headers={"Authorization": expired}), 401, UNKNOWN)


async def test_a_blocked_address_is_403(chain: Chain) -> None:
    """Whoever asks from there, until the block ends; who asks from elsewhere is served."""
    await guess(chain, "127.0.0.2", *range(5))
    refused = await chain.mint(address="127.0.0.2")
    check(refused, 403, "ADDRESS_BLOCKED", wait=120 * MINUTE)
    assert (await chain.mint(address="127.0.0.3")).status == 200


async def test_an_operators_route_is_403_without_the_right(chain: Chain) -> None:
    """And waiting does not help."""
    check(await chain.call("GET", STATS, subject="ann"), 403, "PERMISSION_DENIED")


# The request


@pytest.mark.parametrize(
    "sent, field",
    [
        (b"{", ""),
        (b"[]", ""),
        (b'"x"', ""),
        (b'{"model": "x",}', ""),
        (b"{'model': 'x'}", ""),
        (b'\xff{"model": "x"}', ""),
        (b'{"model": 5}', "model"),
        (b'{"duration": "ten"}', "duration"),
        (b'{"duration": 61}', "duration"),
        (b'{"temperature": 3}', "temperature"),
        (b'{"responseModality": "VIDEO"}', "responseModality"),
        (b'{"colour": "red"}', "colour"),
    ],
)
async def test_bad_requests_are_400(chain: Chain, sent: bytes, field: str) -> None:
    """Malformed, of a wrong type, out of range, or unknown: the field is named."""
    answer = await chain.call(subject="ann", data=sent, headers=JSON)
    body = check(answer, 400, "INVALID_ARGUMENT")
    assert field in body["error"]
    if field:
        (violations,) = [each for each in body["details"] if "fieldViolations" in each]
        assert violations["fieldViolations"][0]["field"] == field
    assert (await chain.usage())["tokensLastDay"] == 0


async def test_a_model_that_is_not_allowed_is_400(chain: Chain) -> None:
    """One answer for what is not on the list and for what does not exist."""
    told = [
        check(await chain.mint(f"user of {model}", model=model), 400, "MODEL_NOT_ALLOWED")["error"]
        for model in ("gemini-3.1-flash-live-preview", "gemini-1", "x", "../x")
    ]
    assert len(set(told)) == 1
    assert "model" in told[0]


async def test_a_custom_instruction_while_they_are_off_is_400(chain: Chain) -> None:
    """However short, and be it empty."""
    for text in ("be rude", ""):
        answer = await chain.mint(f"user {len(text)}", systemInstruction=text)
        body = check(answer, 400, "CUSTOM_INSTRUCTION_NOT_ALLOWED")
        assert "systemInstruction" in body["error"]


async def test_a_large_body_is_413(chain: Chain) -> None:
    """Whether its length was told or not; one byte less is read."""
    largest = b'{"temperature": 1}'.ljust(65_536)

    async def in_chunks() -> AsyncIterator[bytes]:
        for byte in (largest, b" "):
            yield byte

    for data in (largest + b" ", in_chunks()):
        answer = await chain.call(subject="ann", data=data, headers=JSON)
        check(answer, 413, "PAYLOAD_TOO_LARGE")
    assert (await chain.call(subject="ann", data=largest, headers=JSON)).status == 200


async def test_another_content_type_is_415(chain: Chain) -> None:
    """JSON in UTF-8 is what is read, with or without saying so of the charset."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "x"):
        answer = await chain.call(subject="ann", data=b"{}", headers={"Content-Type": kind})
        check(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    for user, kind in enumerate(("application/json; charset=utf-8", "Application/JSON")):
        answer = await chain.call(
            subject=f"user {user}", data=b"{}", headers={"Content-Type": kind}
        )
        assert answer.status == 200


# The limits


async def test_the_hourly_quota_is_429_in_its_words(launch: Any) -> None:
    """`10 tokens per hour`, until the first of them is an hour old."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    for _ in range(10):
        assert (await chain.mint()).status == 200
    body = check(await chain.mint(), 429, LIMITED, wait=HOUR)
    assert body["error"] == "Rate limit exceeded: 10 tokens per hour"
    assert violated(body) == ["tokens_per_hour"]


async def test_the_daily_quota_is_429_in_its_words(launch: Any) -> None:
    """`100 tokens per day`, until the first of them is a day old."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES="0", LIVE_API_MAX_TOKENS_PER_HOUR="100")
    for _ in range(100):
        assert (await chain.mint()).status == 200
    body = check(await chain.mint(), 429, LIMITED, wait=24 * HOUR)
    assert body["error"] == "Rate limit exceeded: 100 tokens per day"
    assert violated(body) == ["tokens_per_day"]


async def test_the_cooldown_is_429_in_its_words(chain: Chain) -> None:
    """`cooldown, try again in N seconds`, N being what is left, rounded up."""
    assert (await chain.mint()).status == 200
    for passed, left in ((0, 300), (0.001, 300), (1.999, 298), (297, 1), (0.999, 1)):
        chain.clock.advance(passed)
        body = check(await chain.mint(), 429, LIMITED, wait=left)
        assert body["error"] == f"Rate limit exceeded: cooldown, try again in {left} seconds"
        assert violated(body) == ["cooldown"]


def violated(body: dict[str, Any]) -> list[str]:
    """Return the limits that the details name."""
    (failure,) = [each for each in body["details"] if each["@type"].endswith("QuotaFailure")]
    return [each["subject"] for each in failure["violations"]]


async def test_a_pattern_of_abuse_is_429(chain: Chain) -> None:
    """The details name the rule; a client that need only mend itself is told no time."""
    answer = await chain.call(subject="ann", headers={"X-Forwarded-Host": "example"})
    body = check(answer, 429, "ABUSE_DETECTED")
    assert body["details"][0]["metadata"]["rule"] == "suspicious_headers"


# The idempotency key


async def test_a_key_at_work_is_409_and_one_reused_is_422(chain: Chain) -> None:
    """While the first is at work, to wait; with another body, never. The same again: the same."""
    headers = {"Idempotency-Key": "order 1"}
    async with chain.held() as asked:
        first = asyncio.create_task(chain.call(subject="ann", headers=headers))
        await asked()
        second = await chain.call(subject="ann", headers=headers)
        assert second.body["retryAfter"] > 0
        check(second, 409, "IDEMPOTENCY_KEY_IN_USE", wait=second.body["retryAfter"])
    token = (await first).body["token"]
    answer = await chain.call(subject="ann", headers=headers, json={"duration": 5})
    check(answer, 422, "IDEMPOTENCY_KEY_REUSED")
    assert (await chain.call(subject="ann", headers=headers)).body["token"] == token
    assert chain.minted == 1


# What is behind


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400, "googleStatus": "INVALID_ARGUMENT"},
        {"status": 401, "googleStatus": "UNAUTHENTICATED"},
        {"status": 403, "googleStatus": "PERMISSION_DENIED"},
        {"status": 404, "googleStatus": "NOT_FOUND"},
    ],
    ids=lambda fault: str(fault["status"]),
)
@pytest.mark.shows_secrets("the text is Gemini's, made up, and belongs into the log")
async def test_our_fault_at_gemini_is_502(
    chain: Chain, fault: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting does not help; Gemini's text goes to the log, never to the caller."""
    chain.fail(message=UPSTREAM, **fault)
    answer = await chain.mint()
    check(answer, 502, "UPSTREAM_MISCONFIGURED")
    assert "suspended" not in str(answer.body) + str(answer.headers)
    assert "suspended" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault, wait",
    [
        ({"status": 500}, 1),
        ({"status": 503}, 1),
        ({"status": 429}, 1),
        ({"status": 429, "retryAfter": "77"}, 77),
        ({"disconnect": True}, 1),
        ({"garbage": True}, 1),
        ({"emptyName": True}, 1),
        ({"hang": True}, 1),
    ],
    ids=str,
)
async def test_gemini_away_slow_or_over_quota_is_503(
    launch: Any, fault: dict[str, Any], wait: int
) -> None:
    """With the wait that Gemini names, or a second."""
    chain = await launch(GEMINI_ATTEMPT_TIMEOUT_MS="100")
    chain.fail(message=UPSTREAM, count=2, **fault)
    answer = await chain.mint()
    check(answer, 503, "UPSTREAM_UNAVAILABLE", wait=wait)
    assert "suspended" not in str(answer.body) + str(answer.headers)


async def test_policy_away_is_503(chain: Chain) -> None:
    """No decision, no token: Gemini is not asked."""
    await chain.policy.stop()
    check(await chain.mint(), 503, "POLICY_UNAVAILABLE", wait=1)
    assert chain.minted == 0


async def test_tokenservice_away_is_503(chain: Chain) -> None:
    """The gateway answers for it, in the same body."""
    await chain.tokenservice.stop()
    for method, path in (("POST", MINT), ("GET", STATS)):
        check(await chain.call(method, path, subject="ann"), 503, "UPSTREAM_UNAVAILABLE", wait=1)
