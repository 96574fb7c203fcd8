"""The v2 contract's rules against abuse: each default over HTTP, and each honest user it spares."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from live_token import HOUR, MINUTE, USAGE

if TYPE_CHECKING:
    from client import Answer
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

OFFICE, STRANGER = "127.0.0.2", "127.0.0.3"
SUSPICIOUS = ("X-Forwarded-Host", "X-Originating-IP", "X-Cluster-Client-IP")
FRAGMENTS = ("eval(", "exec(", "require(", "import(", "process.env", "fs.read", "child_process")
_guesses = itertools.count()


def rule(answer: Answer) -> str:
    """Return the rule that refused, if one did."""
    if answer.body.get("code") != "ABUSE_DETECTED":
        return ""
    assert answer.status == 429
    name: str = answer.body["details"][0]["metadata"]["rule"]
    return name


async def guess(chain: Chain, *, address: str = OFFICE, **headers: str) -> None:
    """Send credentials that are wrong, ever others."""
    headers = {"X-API-Key": f"guess {next(_guesses)}", **headers}
    answer = await chain.call("GET", USAGE, headers=headers, address=address)
    assert answer.status == 401


async def hasty(chain: Chain, pauses: Any, **body: Any) -> list[str]:
    """Get a token, then ask again and again before it is time; return which rules refused."""
    assert (await chain.mint()).status == 200
    told = []
    for number, pause in enumerate(pauses):
        chain.clock.advance(pause)
        told.append(rule(await chain.mint(**{name: each(number) for name, each in body.items()})))
    return told


def jittered(count: int, about: float) -> list[float]:
    """Return pauses that no machine makes."""
    return [about + (number * 37 % 11) / 20 for number in range(count)]


# The rules


async def test_volume(chain: Chain) -> None:
    """More than 100 requests in 10 minutes: 101 that should not have been made are too many.

    The first that is refused could not know; the 101 after it could.
    """
    told = await hasty(chain, jittered(102, 2.5), temperature=lambda number: number // 5 / 100)
    assert told == [""] * 101 + ["volume"]


async def test_identical_requests(chain: Chain) -> None:
    """More than 5 identical ones, once 10 are known."""
    told = await hasty(chain, jittered(11, 3))
    assert told == [""] * 10 + ["identical_requests"]


async def test_parameter_enumeration(chain: Chain) -> None:
    """More than 5 distinct bodies among the last 10."""
    told = await hasty(chain, jittered(11, 3), duration=lambda number: number % 6 + 1)
    assert told == [""] * 10 + ["parameter_enumeration"]


async def test_five_distinct_bodies_are_none_too_many(chain: Chain) -> None:
    """It takes more than 5."""
    told = await hasty(chain, jittered(20, 3), duration=lambda number: number % 5 + 1)
    assert set(told) == {""}


async def test_machine_timing(chain: Chain) -> None:
    """Intervals with a standard deviation under 10 ms, once 10 are known."""
    pauses = [3 + (number % 2) * 0.018 for number in range(12)]  # deviation: 9 ms
    told = await hasty(chain, pauses, duration=lambda number: number % 4 + 1)
    assert told == [""] * 11 + ["machine_timing"]


async def test_human_timing(chain: Chain) -> None:
    """A deviation of 10 ms is a person's."""
    pauses = [3 + (number % 2) * 0.020 for number in range(20)]
    told = await hasty(chain, pauses, duration=lambda number: number % 4 + 1)
    assert set(told) == {""}


async def test_the_required_header(chain: Chain) -> None:
    """Without a `User-Agent`, or with an empty one, no token; with any, one."""
    missing = await chain.call(subject="ann", skip_auto_headers=["User-Agent"])
    blank = await chain.call(subject="ann", headers={"User-Agent": " "})
    assert [rule(missing), rule(blank)] == ["required_headers"] * 2
    assert (await chain.call(subject="ann", headers={"User-Agent": "x"})).status == 200


@pytest.mark.parametrize("name", SUSPICIOUS)
async def test_suspicious_headers(chain: Chain, name: str) -> None:
    """Those of a proxy, from a peer that is no trusted one, cost the request."""
    answer = await chain.call(subject="ann", headers={name: "192.0.2.1"})
    assert rule(answer) == "suspicious_headers"
    assert (await chain.mint()).status == 200


async def test_a_suspicious_model(chain: Chain) -> None:
    """A name with `..`, `/` or a backslash is not allowed, and the fifth time blocks the user."""
    for number, model in enumerate(("..", "models/x", "a\\b", "../../etc", "x/../y")):
        chain.clock.advance(40 + number * number)
        answer = await chain.mint(model=model)
        assert (answer.status, answer.body["code"]) == (400, "MODEL_NOT_ALLOWED")
    refused = await chain.mint()
    assert (refused.status, refused.body["code"]) == (403, "USER_BLOCKED")
    assert refused.body["retryAfter"] == 120 * MINUTE
    assert (await chain.mint("bob")).status == 200


async def test_suspicious_instructions(launch: Any) -> None:
    """One with a fragment of code is refused, whatever its case; prose about it is not."""
    chain = await launch(LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS="true")
    for fragment in FRAGMENTS:
        for text in (f"Please {fragment}x", f"Please {fragment.upper()}X"):
            answer = await chain.mint(f"user of {text}", systemInstruction=text)
            assert rule(answer) == "suspicious_content", text
            assert (await chain.usage(f"user of {text}"))["tokensLastDay"] == 0
    prose = "Explain the process. You evaluate essays (briefly), and require (some) patience."
    assert (await chain.mint(systemInstruction=prose)).status == 200


async def test_failed_credentials_block_their_address(chain: Chain) -> None:
    """5 within 60 minutes, for 120 minutes: to the millisecond, whatever is sent meanwhile."""
    for _ in range(4):
        await guess(chain)
        chain.clock.advance(15 * MINUTE - 0.001)
    assert (await chain.mint("bob", address=OFFICE)).status == 200
    await guess(chain)
    for passed, left in ((0, 120 * MINUTE), (HOUR, HOUR), (HOUR - 0.001, 1)):
        chain.clock.advance(passed)
        refused = await chain.mint(address=OFFICE)
        assert (refused.status, refused.body["code"]) == (403, "ADDRESS_BLOCKED")
        assert refused.body["retryAfter"] == left
        assert refused.headers["Retry-After"] == str(left)
        await guess(chain)
    chain.clock.advance(0.001)
    assert (await chain.mint(address=OFFICE)).status == 200


async def test_violations_of_an_hour_ago_do_not_count(chain: Chain) -> None:
    """The fifth within 60 minutes blocks, not the fifth in all."""
    for _ in range(10):
        await guess(chain)
        chain.clock.advance(15 * MINUTE)
    assert (await chain.mint(address=OFFICE)).status == 200


async def test_all_thresholds_can_be_set(launch: Any) -> None:
    """The policy file moves each of them."""
    chain = await launch(
        {
            "rules": {
                "identical_requests": {"requests": 2, "known": 3},
                "machine_timing": {"mode": "off"},
                "required_headers": {"mode": "off"},
                "suspicious_headers": {"names": ["x-real-ip"]},
                "suspicious_content": {"instruction_fragments": ["pirate"]},
                "blocking": {"violations": 2, "window_minutes": 1, "block_minutes": 3},
            }
        },
        LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS="true",
    )
    assert (await chain.call(subject="cid", skip_auto_headers=["User-Agent"])).status == 200
    assert rule(await chain.call(subject="dan", headers={"X-Real-IP": "x"})) == "suspicious_headers"
    assert rule(await chain.mint("eve", systemInstruction="a pirate")) == "suspicious_content"
    assert (await chain.mint("fay", systemInstruction="eval(1)")).status == 200
    told = await hasty(chain, jittered(4, 3))
    assert told == [""] * 3 + ["identical_requests"]
    for _ in range(2):
        await guess(chain)
    assert (await chain.mint("bob", address=OFFICE)).body["retryAfter"] == 3 * MINUTE


# Honest users


async def test_polling_usage_on_a_timer(chain: Chain) -> None:
    """Every second, to the millisecond, for minutes: it is no request for a token."""
    assert (await chain.mint()).status == 200
    for _ in range(300):
        chain.clock.advance(1)
        await chain.usage()
    assert (await chain.mint()).status == 200


async def test_18_colleagues_behind_one_address_with_the_same_browser(chain: Chain) -> None:
    """Each has a quota of their own, all day, be they impatient or not."""
    team = [f"colleague {number}" for number in range(18)]
    for _ in range(5):
        for user in team:
            assert (await chain.mint(user, address=OFFICE)).status == 200
        for user in team:
            early = await chain.mint(user, address=OFFICE)
            assert early.body["code"] == "RATE_LIMIT_EXCEEDED"
        chain.clock.advance(6 * MINUTE)


async def test_a_client_that_retries_during_its_cooldown_as_told(launch: Any) -> None:
    """Whoever waits for `Retry-After` gets every token of the limits, for two days."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="4", LIVE_API_MAX_TOKENS_PER_DAY="20")
    end = chain.clock() + 48 * HOUR * 1000
    tokens = 0
    while chain.clock() < end:
        answer = await chain.mint()
        if answer.status == 200:
            tokens += 1
            continue
        assert answer.body["code"] == "RATE_LIMIT_EXCEEDED"
        chain.clock.advance(int(answer.headers["Retry-After"]))
    assert tokens == 40


async def test_a_proxy_that_adds_a_forwarded_host(launch: Any) -> None:
    """A trusted one says it of all its clients, and they are served."""
    chain = await launch(GATEWAY_TRUSTED_PROXIES="127.0.0.1")
    added = dict.fromkeys(SUSPICIOUS, "app.example") | {"X-Forwarded-For": "192.0.2.1"}
    for number in range(20):
        answer = await chain.call(subject=f"user {number}", headers=added)
        assert answer.status == 200


async def test_a_proxy_nobody_knows_of_gets_an_answer_and_no_block(chain: Chain) -> None:
    """Each request is refused by the rule's name; without the header all is well."""
    for _ in range(10):
        answer = await chain.call(subject="ann", headers={"X-Forwarded-Host": "app.example"})
        assert rule(answer) == "suspicious_headers"
    assert (await chain.mint()).status == 200


async def test_a_body_less_post(chain: Chain) -> None:
    """All alike, as often as the limits allow: no pattern."""
    for _ in range(20):
        assert (await chain.call(subject="ann")).status == 200
        chain.clock.advance(6 * MINUTE)


async def test_a_forged_forwarded_for_gets_no_stranger_blocked(chain: Chain) -> None:
    """Guesses count against who sent them, whomever they name."""
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-Address"):
        said = f"for={STRANGER}" if header == "Forwarded" else STRANGER
        for _ in range(2):
            await guess(chain, **{header: said})
    assert (await chain.mint(address=STRANGER)).status == 200
    assert (await chain.mint("bob", address=OFFICE)).body["code"] == "ADDRESS_BLOCKED"


async def test_a_forged_entry_before_a_trusted_proxys_gets_no_stranger_blocked(
    launch: Any,
) -> None:
    """What the proxy itself added is believed, and not what it was sent."""
    chain = await launch(GATEWAY_TRUSTED_PROXIES="127.0.0.1")
    for _ in range(5):
        forged = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        await guess(chain, address="127.0.0.1", **forged)
    stranger = {"X-Forwarded-For": "203.0.113.9"}
    assert (await chain.call(subject="ann", headers=stranger)).status == 200
    guesser = {"X-Forwarded-For": "198.51.100.7"}
    refused = await chain.call(subject="bob", headers=guesser)
    assert refused.body["code"] == "ADDRESS_BLOCKED"


async def test_five_slips_spread_over_hours(chain: Chain) -> None:
    """They block nobody: there are never five within an hour."""
    for _ in range(20):
        await guess(chain)
        chain.clock.advance(16 * MINUTE)
        assert (await chain.mint(address=OFFICE)).status == 200
