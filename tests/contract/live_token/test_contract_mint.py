"""The v2 contract's mint: each field's rule, and what success looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from live_token import MINT, MODEL

if TYPE_CHECKING:
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

THINKING = "gemini-3.8-live-extended-thinking"
RETIRED = "gemini-live-2.5-flash-preview"
SPEAKS = "gemini-3.1-flash-live-preview"
JSON = {"Content-Type": "application/json"}


def locked(chain: Chain, token: str) -> Any:
    """Return the setup that Gemini locked a token to."""
    return chain.emulator.core.tokens.find(token).setup


async def refused(chain: Chain, field: str, asked: Any) -> None:
    """Check that a value is refused by its field's name, and costs nothing."""
    user = f"user of {asked!r:.40}"
    answer = await chain.mint(user, **{field: asked})
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), asked
    assert field in answer.body["error"], asked
    (violation,) = [each for each in answer.body["details"] if "fieldViolations" in each]
    assert violation["fieldViolations"][0]["field"] == field
    assert (await chain.usage(user))["tokensLastDay"] == 0


@pytest.fixture
async def instructed(launch: Any) -> Any:
    """Run a chain whose users may send instructions of their own."""
    return await launch(LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS="true")


# The fields


async def test_every_field_is_optional_and_so_is_the_body(quick: Chain) -> None:
    """No body, an empty one, `{}`, and every field null: each gets a token on the defaults."""
    requests: list[dict[str, Any]] = [
        {},
        {"data": b"", "headers": JSON},
        {"json": {}},
        {
            "json": dict.fromkeys(
                ("model", "responseModality", "duration", "systemInstruction", "temperature")
            )
        },
    ]
    for request in requests:
        answer = await quick.call(subject="ann", **request)
        assert answer.status == 200, request
        assert answer.body["constraints"] == {
            "model": MODEL,
            "maxDuration": 30,
            "responseModality": "TEXT",
        }


async def test_a_model_of_the_list_or_an_alias_of_one(chain: Chain) -> None:
    """The token is locked to it."""
    for asked, got in ((MODEL, MODEL), (THINKING, THINKING), (RETIRED, MODEL)):
        answer = await chain.mint(f"user of {asked}", model=asked)
        assert (answer.status, answer.body["constraints"]["model"]) == (200, got)
        assert locked(chain, answer.body["token"])["model"] == f"models/{got}"


async def test_a_modality_in_any_case(chain: Chain) -> None:
    """It is answered in upper case."""
    for text in ("TEXT", "text", "Text", "AUDIO", "audio", "aUdIo"):
        answer = await chain.mint(f"user of {text}", responseModality=text)
        assert answer.body["constraints"]["responseModality"] == text.upper()


async def test_no_modality(chain: Chain) -> None:
    """Anything else is 400 and names the field."""
    for asked in ("VIDEO", "TEXT,AUDIO", "TEXT ", 1, True, ["TEXT"]):
        await refused(chain, "responseModality", asked)


async def test_the_default_modality_is_text_where_the_model_can(launch: Any) -> None:
    """Else AUDIO; and TEXT of a model that cannot is 400."""
    chain = await launch(
        LIVE_API_ALLOWED_MODELS=f"{MODEL},{SPEAKS}", LIVE_API_COOLDOWN_PERIOD_MINUTES="0"
    )
    told = [(await chain.mint(model=model)).body["constraints"] for model in (MODEL, SPEAKS)]
    assert [each["responseModality"] for each in told] == ["TEXT", "AUDIO"]
    refused = await chain.mint(model=SPEAKS, responseModality="TEXT")
    assert (refused.status, refused.body["code"]) == (400, "INVALID_ARGUMENT")
    assert "responseModality" in refused.body["error"]


async def test_a_duration(chain: Chain) -> None:
    """Whole minutes, a number or a string of digits, up to the maximum: that is what is locked."""
    good = ((1, 1), ("1", 1), (30, 30), ("015", 15), (60, 60), ("60", 60), (2.0, 2))
    for asked, minutes in good:
        answer = await chain.mint(f"user of {asked!r}", duration=asked)
        assert answer.status == 200, asked
        assert answer.body["constraints"]["maxDuration"] == minutes
        ends = f"2026-01-01T{minutes // 60:02}:{minutes % 60:02}:00.000Z"
        assert answer.body["expiresAt"] == ends


async def test_no_duration(chain: Chain) -> None:
    """Anything else is 400 and names the field."""
    for asked in (0, -1, 61, 2**31, 2**70, 2.9, "2.9", "15abc", True, False, [15], {"minutes": 5}):
        await refused(chain, "duration", asked)
    for asked in (
        "",
        "0",
        "61",
        " 15",
        "15 ",
        "1e1",
        "+5",
        "-5",
        "0x10",
        "\uff11\uff15",
        "9" * 400,
    ):
        await refused(chain, "duration", asked)


async def test_a_temperature(chain: Chain) -> None:
    """A number from 0 to 2 is locked, its ends included."""
    for asked in (0, 0.7, 1, 1.999, 2, 2.0):
        answer = await chain.mint(f"user of {asked!r}", temperature=asked)
        assert (answer.status, answer.body["constraints"]["temperature"]) == (200, asked)


async def test_no_temperature(chain: Chain) -> None:
    """Anything else is 400 and names the field."""
    bad: list[Any] = [-0.1, 2.01, 1e300, "warm", "", True, [1], {}]
    for asked in bad:
        await refused(chain, "temperature", asked)
    for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        body = b'{"temperature":' + number + b"}"
        answer = await chain.call(subject="ann", data=body, headers=JSON)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), number


async def test_an_instruction(instructed: Chain) -> None:
    """Where they are allowed, one of up to 1000 characters (not bytes) is locked."""
    for text in ("x", "ü" * 1000, "😀" * 1000):
        answer = await instructed.mint(f"user {len(text.encode())}", systemInstruction=text)
        assert answer.status == 200
        setup = locked(instructed, answer.body["token"])
        assert setup["systemInstruction"]["parts"] == [{"text": text}]


async def test_no_instruction(instructed: Chain) -> None:
    """One that is longer, or no string, is 400 and names the field."""
    bad: list[Any] = ["x" * 1001, "😀" * 1001, 5, True, ["x"], {"parts": []}]
    for asked in bad:
        await refused(instructed, "systemInstruction", asked)


async def test_an_unknown_field(chain: Chain) -> None:
    """It is 400 and named, whatever the others are; a field that is there twice as well."""
    for field in ("colour", "models", "Model", "token", "constraints", "ttl", "MODEL"):
        await refused(chain, field, "x")
        await refused(chain, field, None)
    twice = b'{"duration": 5, "duration": 6}'
    answer = await chain.call(subject="ann", data=twice, headers=JSON)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert "duration" in answer.body["error"]


# The answer


async def test_success_has_the_contracts_shape(chain: Chain) -> None:
    """Every field is there, of its type, in its place, at the times that were told."""
    answer = await chain.call("POST", MINT, subject="ann")
    body = answer.body
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert body["success"] is True
    assert re.fullmatch(r"auth_tokens/\S+", body["token"])
    assert body["expiresAt"] == "2026-01-01T00:30:00.000Z"
    assert body["sessionStartWindow"] == "2026-01-01T00:02:00.000Z"
    assert body["constraints"] == {"model": MODEL, "maxDuration": 30, "responseModality": "TEXT"}
    counts = ("activeTokens", "tokensLastHour", "tokensLastDay")
    assert [body["usage"][name] for name in counts] == [1, 1, 1]
    assert body["usage"]["limits"] == {"tokensPerHour": 10, "tokensPerDay": 100}
    numbers = [*body["usage"]["limits"].values(), *(body["usage"][name] for name in counts)]
    assert {type(number) for number in [*numbers, body["constraints"]["maxDuration"]]} == {int}


async def test_times_have_milliseconds_always(chain: Chain) -> None:
    """ISO 8601, UTC, three digits and Z, whatever the millisecond of the request."""
    for millis, told in ((0, "00.000Z"), (7, "00.007Z"), (120, "00.120Z"), (59_999, "59.999Z")):
        chain.clock.now = 1_767_225_600_000 + millis
        body = (await chain.mint(f"user {millis}")).body
        assert body["expiresAt"] == f"2026-01-01T00:30:{told}"
        assert body["sessionStartWindow"] == f"2026-01-01T00:02:{told}"


async def test_the_start_window_never_ends_after_the_token(chain: Chain) -> None:
    """A token of one minute can be opened for that minute."""
    body = (await chain.mint(duration=1)).body
    assert body["expiresAt"] == body["sessionStartWindow"] == "2026-01-01T00:01:00.000Z"


async def test_usage_counts_the_new_token(quick: Chain) -> None:
    """Each answer has one more, and `usage` says the same."""
    for count in (1, 2, 3):
        told = (await quick.mint()).body["usage"]
        assert (told["activeTokens"], told["tokensLastHour"], told["tokensLastDay"]) == (count,) * 3
        assert {**await quick.usage()} == told


async def test_gemini_makes_what_was_told(chain: Chain) -> None:
    """The token is Gemini's own, prefix and all, for one use, until the times that were told."""
    body = (await chain.mint(temperature=0.5, responseModality="audio", duration="15")).body
    made = chain.emulator.core.tokens.find(body["token"])
    assert made.uses == 1
    assert made.expire_time.isoformat() == "2026-01-01T00:15:00+00:00"
    assert made.new_session_expire_time.isoformat() == "2026-01-01T00:02:00+00:00"
    setup = locked(chain, body["token"])
    assert setup["model"] == f"models/{MODEL}"
    assert setup["generationConfig"] == {"responseModalities": ["AUDIO"], "temperature": 0.5}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
async def test_the_answer_is_kept_nowhere(chain: Chain, headers: dict[str, str]) -> None:
    """It carries a secret: `Cache-Control: no-store`."""
    answer = await chain.call(subject="ann", headers=headers)
    assert answer.headers["Cache-Control"] == "no-store"
