"""The v2 contract's settings: each one's default and effect over HTTP, and what stops the start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from live_token import CONFIG, DAY, HOUR, MINUTE, MODEL, SECRET

from policy import __main__ as policy_main
from tokenservice import __main__ as tokenservice_main

if TYPE_CHECKING:
    from collections.abc import Callable

    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

THINKING = f"{MODEL}-extended-thinking"
SPEAKS = "gemini-3.1-flash-live-preview"


async def config(chain: Chain) -> Any:
    """Return what `config` tells Ann."""
    answer = await chain.call("GET", CONFIG, subject="ann")
    assert answer.status == 200
    return answer.body["data"]


def instruction(chain: Chain, token: str) -> str:
    """Return the instruction that Gemini locked a token to."""
    setup = chain.emulator.core.tokens.find(token).setup or {}
    (part,) = setup["systemInstruction"]["parts"]
    text: str = part["text"]
    return text


async def test_the_token_duration(launch: Any) -> None:
    """LIVE_API_TOKEN_DURATION_MINUTES, 30: how long a token lasts whose request does not say."""
    chain = await launch(LIVE_API_TOKEN_DURATION_MINUTES="7")
    assert (await config(chain))["tokenDurationMinutes"] == 7
    assert (await chain.mint()).body["expiresAt"] == "2026-01-01T00:07:00.000Z"
    assert (await chain.mint("bob", duration=60)).status == 200


async def test_the_longest_duration(launch: Any) -> None:
    """LIVE_API_MAX_TOKEN_DURATION_MINUTES, 60: the most that can be asked for."""
    chain = await launch(LIVE_API_MAX_TOKEN_DURATION_MINUTES="90")
    assert (await config(chain))["maxTokenDurationMinutes"] == 90
    assert (await chain.mint(duration=90)).body["expiresAt"] == "2026-01-01T01:30:00.000Z"
    refused = await chain.mint("bob", duration=91)
    assert refused.status == 400
    assert "1 to 90" in refused.body["error"]


async def test_the_start_window(launch: Any) -> None:
    """LIVE_API_SESSION_START_WINDOW_MINUTES, 2: for how long a token opens a session."""
    chain = await launch(LIVE_API_SESSION_START_WINDOW_MINUTES="9")
    assert (await config(chain))["sessionStartWindowMinutes"] == 9
    assert (await chain.mint()).body["sessionStartWindow"] == "2026-01-01T00:09:00.000Z"
    short = (await chain.mint("bob", duration=8)).body
    assert short["sessionStartWindow"] == short["expiresAt"] == "2026-01-01T00:08:00.000Z"


async def test_the_tokens_per_hour(launch: Any) -> None:
    """LIVE_API_MAX_TOKENS_PER_HOUR, 10."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_HOUR="2", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    told = [await chain.mint() for _ in range(3)]
    assert [answer.status for answer in told] == [200, 200, 429]
    assert told[0].body["usage"]["limits"] == {"tokensPerHour": 2, "tokensPerDay": 100}
    assert told[2].body["error"] == "Rate limit exceeded: 2 tokens per hour"
    assert (await config(chain))["limits"]["tokensPerHour"] == 2


async def test_the_tokens_per_day(launch: Any) -> None:
    """LIVE_API_MAX_TOKENS_PER_DAY, 100."""
    chain = await launch(LIVE_API_MAX_TOKENS_PER_DAY="11", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    assert (await config(chain))["limits"]["tokensPerDay"] == 11
    for _ in range(10):
        assert (await chain.mint()).status == 200
    chain.clock.advance(HOUR)
    assert (await chain.mint()).status == 200
    assert (await chain.mint()).body["error"] == "Rate limit exceeded: 11 tokens per day"


async def test_the_cooldown(launch: Any) -> None:
    """LIVE_API_COOLDOWN_PERIOD_MINUTES, 5; parts of a minute too; 0 is off."""
    chain = await launch(LIVE_API_COOLDOWN_PERIOD_MINUTES="0.5")
    assert (await config(chain))["cooldownMinutes"] == 0.5
    assert (await chain.mint()).status == 200
    assert (await chain.mint()).body["retryAfter"] == 30
    chain.clock.advance(30)
    assert (await chain.mint()).status == 200


async def test_the_default_model(launch: Any) -> None:
    """LIVE_API_DEFAULT_MODEL: the model of a request that names none."""
    chain = await launch(LIVE_API_DEFAULT_MODEL=THINKING)
    assert (await config(chain))["defaultModel"] == THINKING
    assert (await chain.mint()).body["constraints"]["model"] == THINKING


async def test_the_allowed_models(launch: Any) -> None:
    """LIVE_API_ALLOWED_MODELS: a comma list, spaces trimmed; no other is allowed."""
    chain = await launch(LIVE_API_ALLOWED_MODELS=f" {MODEL} ,\t{SPEAKS} , ")
    assert (await config(chain))["allowedModels"] == [MODEL, SPEAKS]
    for user, (model, status) in enumerate(((MODEL, 200), (SPEAKS, 200), (THINKING, 400))):
        assert (await chain.mint(f"user {user}", model=model)).status == status


async def test_custom_instructions(launch: Any) -> None:
    """LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS, false: whether a request may have one."""
    chain = await launch(LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS="true")
    assert (await config(chain))["customInstructionsAllowed"] is True
    answer = await chain.mint(systemInstruction="Be brief.")
    assert instruction(chain, answer.body["token"]) == "Be brief."


async def test_the_default_instruction(launch: Any) -> None:
    """LIVE_API_DEFAULT_SYSTEM_INSTRUCTION: what is locked where a request has none."""
    chain = await launch(LIVE_API_DEFAULT_SYSTEM_INSTRUCTION="Speak like a pirate.")
    answer = await chain.mint()
    assert instruction(chain, answer.body["token"]) == "Speak like a pirate."


async def test_the_concurrent_sessions(launch: Any) -> None:
    """LIVE_API_MAX_CONCURRENT_SESSIONS, 0 for off: a cap on a user's unexpired tokens."""
    chain = await launch(LIVE_API_MAX_CONCURRENT_SESSIONS="2", LIVE_API_COOLDOWN_PERIOD_MINUTES="0")
    assert (await config(chain))["maxConcurrentSessions"] == 2
    told = [await chain.mint(duration=minutes) for minutes in (10, 20, 1)]
    assert [answer.status for answer in told] == [200, 200, 429]
    refused = told[2].body
    assert (refused["code"], refused["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 10 * MINUTE)
    assert refused["error"].startswith("Rate limit exceeded: ")
    chain.clock.advance(10 * MINUTE)
    assert (await chain.mint()).status == 200


async def test_the_defaults(chain: Chain) -> None:
    """With nothing set: 30 and 60 minutes, 2 to start, 10 an hour, 100 a day, 5 to cool down."""
    told = await config(chain)
    assert (told["tokenDurationMinutes"], told["maxTokenDurationMinutes"]) == (30, 60)
    assert (told["sessionStartWindowMinutes"], told["cooldownMinutes"]) == (2, 5)
    assert told["limits"] == {"tokensPerHour": 10, "tokensPerDay": 100}
    assert (told["defaultModel"], told["maxConcurrentSessions"]) == (MODEL, 0)
    assert told["defaultModel"] in told["allowedModels"]
    assert told["customInstructionsAllowed"] is False
    answer = await chain.mint()
    assert instruction(chain, answer.body["token"]) == "You are a helpful assistant."
    chain.clock.advance(DAY)
    assert (await chain.mint(duration=60)).status == 200


TOKENSERVICE = {"GEMINI_API_KEY": "emulator-key", "LIVE_API_JWT_SECRET": SECRET}
MOST = "LIVE_API_MAX_TOKEN_DURATION_MINUTES"
NUMBERS = ("", " ", "ten", "-1", "1.5", "1e3", "0x10", "10 minutes", "NaN", "null")


def stopped(main: Callable[[], Any], capsys: Any, **variables: str) -> str:
    """Return the one line with which a process ends that cannot start."""
    environment = TOKENSERVICE if main is tokenservice_main.main else {}
    with (
        mock.patch.dict(os.environ, environment | variables, clear=True),
        mock.patch("serving.process.asyncio.run", side_effect=AssertionError("it started")),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return str(line)


@pytest.mark.parametrize(
    "name, values",
    [
        ("LIVE_API_TOKEN_DURATION_MINUTES", (*NUMBERS, "0")),
        ("LIVE_API_MAX_TOKEN_DURATION_MINUTES", (*NUMBERS, "0", "1200")),
        ("LIVE_API_SESSION_START_WINDOW_MINUTES", (*NUMBERS, "0", "1200")),
        ("LIVE_API_DEFAULT_MODEL", ("", "gemini-1", THINKING + "x")),
        ("LIVE_API_ALLOWED_MODELS", ("", " , ", f"{MODEL},*", f"{MODEL},models/x")),
        ("LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS", ("", "maybe", "2", "TRUE.")),
        ("LIVE_API_DEFAULT_SYSTEM_INSTRUCTION", ("", "x" * 1001, "a\x07b")),
    ],
)
def test_what_tokenservice_cannot_read_stops_it(
    name: str, values: tuple[str, ...], capsys: Any
) -> None:
    """One line that names the variable; nothing falls back silently."""
    for value in values:
        line = stopped(tokenservice_main.main, capsys, **{name: value})
        assert line.startswith(f"tokenservice: {name}: "), value


@pytest.mark.parametrize(
    "name, values",
    [
        ("LIVE_API_MAX_TOKENS_PER_HOUR", (*NUMBERS, "0")),
        ("LIVE_API_MAX_TOKENS_PER_DAY", (*NUMBERS, "0")),
        ("LIVE_API_COOLDOWN_PERIOD_MINUTES", ("", "soon", "-1", "NaN", "inf", "1441")),
        ("LIVE_API_MAX_CONCURRENT_SESSIONS", NUMBERS),
    ],
)
def test_what_policy_cannot_read_stops_it(name: str, values: tuple[str, ...], capsys: Any) -> None:
    """One line that names the variable; nothing falls back silently."""
    for value in values:
        line = stopped(policy_main.main, capsys, **{name: value})
        assert line.startswith(f"policy: {name}: "), value


@pytest.mark.parametrize(
    "main, name, variables",
    [
        (
            tokenservice_main.main,
            "LIVE_API_TOKEN_DURATION_MINUTES",
            {"LIVE_API_TOKEN_DURATION_MINUTES": "61"},
        ),
        (tokenservice_main.main, "LIVE_API_TOKEN_DURATION_MINUTES", {MOST: "29"}),
        (
            tokenservice_main.main,
            "LIVE_API_DEFAULT_MODEL",
            {"LIVE_API_ALLOWED_MODELS": THINKING},
        ),
        (
            policy_main.main,
            "LIVE_API_MAX_TOKENS_PER_DAY",
            {"LIVE_API_MAX_TOKENS_PER_HOUR": "101"},
        ),
    ],
)
def test_settings_that_contradict_each_other_stop_the_start(
    main: Callable[[], Any], name: str, variables: dict[str, str], capsys: Any
) -> None:
    """One line that names one of them, and says which other it contradicts."""
    line = stopped(main, capsys, **variables)
    assert f": {name}: " in line
