"""The v2 contract's order of checks: who is wrong in two ways is told of the earlier."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from live_token import USAGE

if TYPE_CHECKING:
    from client import Answer
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

BLOCKED = "127.0.0.2"

STEPS = [
    {"size": 413, "media type": 415, "syntax": 400},
    {"credentials": 401},
    {"range": 400, "type": 400, "name": 400, "model": 400, "instruction": 400},
    {"address": 403, "pattern": 429},
    {"quota": 429},
    {"mint": 502},
]
"""What can be wrong, and its status, in the order of the checks."""

CODES = {
    "size": "PAYLOAD_TOO_LARGE",
    "media type": "UNSUPPORTED_MEDIA_TYPE",
    "syntax": "INVALID_ARGUMENT",
    "credentials": "UNAUTHENTICATED",
    "range": "INVALID_ARGUMENT",
    "type": "INVALID_ARGUMENT",
    "name": "INVALID_ARGUMENT",
    "model": "MODEL_NOT_ALLOWED",
    "instruction": "CUSTOM_INSTRUCTION_NOT_ALLOWED",
    "address": "ADDRESS_BLOCKED",
    "pattern": "ABUSE_DETECTED",
    "quota": "RATE_LIMIT_EXCEEDED",
    "mint": "UPSTREAM_MISCONFIGURED",
}
FIELDS = {
    "range": '"duration": 61',
    "type": '"duration": 2.9',
    "name": '"colour": "red"',
    "model": '"model": "gemini-1"',
    "instruction": '"systemInstruction": "be rude"',
}
PAIRS = [
    (earlier, later)
    for first, second in combinations(STEPS, 2)
    for earlier in first
    for later in second
]


@dataclass
class Sender:
    """A user who does certain things wrong."""

    chain: Chain
    user: str
    wrongs: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self) -> Answer:
        """Ask for a token."""
        headers = {"Content-Type": "application/json"}
        if "media type" in self.wrongs:
            headers["Content-Type"] = "text/plain"
        if "credentials" in self.wrongs:
            headers["Authorization"] = "Bearer nonsense"
        if "pattern" in self.wrongs:
            headers["X-Forwarded-Host"] = "example"
        return await self.chain.call(
            subject="" if "credentials" in self.wrongs else self.user,
            address=BLOCKED if "address" in self.wrongs else "127.0.0.1",
            data=self._body(),
            headers=headers,
        )

    def _body(self) -> bytes:
        fields = ",".join(FIELDS[wrong] for wrong in self.wrongs if wrong in FIELDS)
        body = f"{{{fields}" if "syntax" in self.wrongs else f"{{{fields}}}"
        return body.encode().ljust(70_000 if "size" in self.wrongs else 0)


async def test_the_earlier_check_answers(chain: Chain) -> None:
    """Size and syntax; credentials; fields; address and patterns; quota; mint: in this order."""
    status = {wrong: number for step in STEPS for wrong, number in step.items()}
    for number in range(5):
        headers = {"X-API-Key": f"guess {number}"}
        await chain.call("GET", USAGE, headers=headers, address=BLOCKED)
    for number, pair in enumerate(PAIRS):
        user = f"user {number}"
        chain.mend()
        if "quota" in pair:
            assert (await chain.mint(user)).status == 200, "so that the cooldown runs"
        if "mint" in pair:
            chain.fail(status=403, count=1_000_000)
        answer = await Sender(chain, user, pair).send()
        told = (answer.status, answer.body["code"])
        assert told == (status[pair[0]], CODES[pair[0]]), pair
        if "quota" not in pair:
            assert (await chain.usage(user))["tokensLastDay"] == 0, pair


async def test_each_wrong_alone_is_told(chain: Chain) -> None:
    """Else the order would prove nothing."""
    for number in range(5):
        headers = {"X-API-Key": f"guess {number}"}
        await chain.call("GET", USAGE, headers=headers, address=BLOCKED)
    for step in STEPS:
        for wrong, status in step.items():
            if wrong == "quota":
                assert (await chain.mint(wrong)).status == 200
            if wrong == "mint":
                chain.fail(status=403, count=1_000_000)
            answer = await Sender(chain, wrong, (wrong,)).send()
            assert (answer.status, answer.body["code"]) == (status, CODES[wrong]), wrong


async def test_what_is_refused_for_its_content_spends_nothing(launch: Any) -> None:
    """Whoever has one token left still has it after every such refusal."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="1", LIVE_API_MAX_TOKENS_PER_DAY="1")
    for wrong in ("size", "media type", "syntax", *FIELDS, "pattern"):
        answer = await Sender(chain, "ann", (wrong,)).send()
        assert answer.body["code"] == CODES[wrong]
    usage = await chain.usage()
    assert usage["tokensLastDay"] == 0
    assert "nextAllowedAt" not in usage
    assert (await chain.mint()).status == 200


async def test_only_an_issued_token_counts(launch: Any) -> None:
    """Refused by a limit, failed at Gemini: neither is one."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="2", LIVE_API_COOLDOWN_PERIOD_MINUTES="1")
    chain.fail(status=403)
    assert (await chain.mint()).status == 502
    assert (await chain.mint()).status == 200
    chain.clock.advance(30)
    assert (await chain.mint()).status == 429
    chain.clock.advance(30)
    assert (await chain.mint()).status == 200
    assert (await chain.usage())["tokensLastDay"] == 2
