"""What is asked for, and what it grants."""

import datetime as dt
import unicodedata
from dataclasses import replace
from typing import Any

import pytest

from serving.errors import InvalidArgument
from tokenservice.errors import CustomInstructionNotAllowed, ModelNotAllowed
from tokenservice.grant import Terms, TokenRequest
from tokenservice.models import Modality, Model, catalogue
from tokenservice.token import Lifetime

NOW = 1_767_225_600_000
TEXT_MODEL = "gemini-3.8-live"
THINKING = "gemini-3.8-live-extended-thinking"
AUDIO_MODEL = "gemini-3.1-flash-live-preview"
ALIAS = "gemini-2.0-flash-live-001"

TERMS = Terms(
    catalogue=catalogue((TEXT_MODEL, THINKING, AUDIO_MODEL), TEXT_MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=True,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
)


def test_a_request_without_fields_gets_the_defaults() -> None:
    """Every field is optional."""
    grant = TERMS.grant(TokenRequest())
    assert (grant.model.name, grant.requested_model) == (TEXT_MODEL, TEXT_MODEL)
    assert grant.modality is Modality.TEXT
    assert (grant.duration_minutes, grant.start_window_minutes) == (30, 2)
    assert grant.system_instruction == "You are a helpful assistant."
    assert grant.temperature is None


def test_an_alias_is_locked_to_the_model_it_stands_for() -> None:
    """The token is for the real model; what was asked for is kept beside it."""
    grant = TERMS.grant(TokenRequest(model=ALIAS))
    assert (grant.model.name, grant.requested_model) == (TEXT_MODEL, ALIAS)
    assert grant.requested_model_retired_on == dt.date(2025, 12, 9)
    assert TERMS.grant(TokenRequest(model=TEXT_MODEL)).requested_model_retired_on is None
    assert grant.setup["model"] == f"models/{TEXT_MODEL}"


@pytest.mark.parametrize("asked", ["TEXT", "text", "Text", "AUDIO", "audio", "aUdIo"])
def test_a_modality_counts_in_any_case(asked: str) -> None:
    """TEXT and AUDIO are taken in any case."""
    assert TERMS.grant(TokenRequest(response_modality=asked)).modality == asked.upper()


def test_a_model_that_only_speaks_defaults_to_audio() -> None:
    """The default is TEXT where the model can, else AUDIO."""
    assert TERMS.grant(TokenRequest(model=AUDIO_MODEL)).modality is Modality.AUDIO


@pytest.mark.parametrize(
    "fields",
    [
        {"duration_minutes": 1},
        {"duration_minutes": 60},
        {"system_instruction": "x" * 1000},
        {"system_instruction": "😀" * 1000},
        {"system_instruction": ""},
        {"system_instruction": "one\ntwo\tthree"},
        {"system_instruction": "\u05d0\u200f!\u200e"},
        {"system_instruction": unicodedata.normalize("NFD", "\u1e69" * 1000)},
        {"temperature": 0.0},
        {"temperature": 2.0},
        {"request_id": "r" * 128},
        {"request_id": "a b~"},
    ],
)
def test_the_last_allowed_value_is_allowed(fields: dict[str, Any]) -> None:
    """The ends of each range are within it."""
    TERMS.grant(TokenRequest(**fields))


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"duration_minutes": 0}, "duration"),
        ({"duration_minutes": -1}, "duration"),
        ({"duration_minutes": 61}, "duration"),
        ({"response_modality": "VIDEO"}, "responseModality"),
        ({"response_modality": " TEXT"}, "responseModality"),
        ({"response_modality": "TEXT", "model": AUDIO_MODEL}, "responseModality"),
        ({"system_instruction": "x" * 1001}, "systemInstruction"),
        ({"system_instruction": "x" * 200_000}, "systemInstruction"),
        ({"system_instruction": "a\0b"}, "systemInstruction"),
        ({"system_instruction": "a\x1b[31m"}, "systemInstruction"),
        ({"system_instruction": "a\x7f"}, "systemInstruction"),
        ({"system_instruction": "a\x85"}, "systemInstruction"),
        ({"system_instruction": "a\u202eb"}, "systemInstruction"),
        ({"system_instruction": "a\u2066b"}, "systemInstruction"),
        ({"system_instruction": "a\ud800"}, "systemInstruction"),
        ({"temperature": -0.01}, "temperature"),
        ({"temperature": 2.01}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("-inf")}, "temperature"),
        ({"request_id": "r" * 129}, "requestId"),
        ({"request_id": "a\nb"}, "requestId"),
        ({"request_id": "a\n"}, "requestId"),
        ({"request_id": "é"}, "requestId"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(fields: dict[str, Any], named: str) -> None:
    """What is not as it must be is refused under the name that the caller used."""
    with pytest.raises(InvalidArgument) as refused:
        TERMS.grant(TokenRequest(**fields))
    assert refused.value.reason == "INVALID_ARGUMENT"
    assert refused.value.violations[0].field == named


@pytest.mark.parametrize("name", ["gemini-9", TEXT_MODEL.upper(), f"models/{TEXT_MODEL}", "../x"])
def test_a_model_that_is_not_on_the_list_is_refused(name: str) -> None:
    """Unknown and not allowed are one answer, which does not repeat the name."""
    with pytest.raises(ModelNotAllowed) as refused:
        TERMS.grant(TokenRequest(model=name))
    assert (refused.value.reason, refused.value.violations[0].field) == (
        "MODEL_NOT_ALLOWED",
        "model",
    )
    assert name not in refused.value.message


@pytest.mark.parametrize("text", ["be brief", "", "x" * 2000])
def test_instructions_are_refused_while_they_are_off(text: str) -> None:
    """Any instruction is refused unless they are switched on."""
    terms = replace(TERMS, custom_instructions=False)
    with pytest.raises(CustomInstructionNotAllowed) as refused:
        terms.grant(TokenRequest(system_instruction=text))
    assert refused.value.reason == "CUSTOM_INSTRUCTION_NOT_ALLOWED"
    assert refused.value.violations[0].field == "systemInstruction"


def test_the_setup_is_all_that_a_session_can_be() -> None:
    """Everything that the token locks stands in the setup, tools and the rest are absent."""
    request = TokenRequest(
        model=THINKING, response_modality="AUDIO", system_instruction="brief", temperature=0.5
    )
    assert TERMS.grant(request).setup == {
        "model": f"models/{THINKING}",
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "temperature": 0.5,
            "thinkingConfig": {"thinkingLevel": "LOW"},
        },
        "systemInstruction": {"role": "user", "parts": [{"text": "brief"}]},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }


def test_the_setup_leaves_to_the_model_what_was_not_asked_for() -> None:
    """Without a temperature or a thinking level the setup names neither; 0 is a temperature."""
    assert TERMS.grant(TokenRequest()).setup["generationConfig"] == {"responseModalities": ["TEXT"]}
    cold = TERMS.grant(TokenRequest(temperature=0.0)).setup["generationConfig"]
    assert cold == {"responseModalities": ["TEXT"], "temperature": 0.0}


def test_equal_grants_have_equal_fingerprints() -> None:
    """A default asked for by name is the same request; the request id is no part of it."""
    spelled = TokenRequest(
        model=TEXT_MODEL,
        response_modality="text",
        duration_minutes=30,
        system_instruction="You are a helpful assistant.",
        request_id="r",
    )
    assert TERMS.grant(spelled).fingerprint == TERMS.grant(TokenRequest()).fingerprint


def test_every_field_is_in_the_fingerprint() -> None:
    """Two requests that differ in one field differ in their fingerprints."""
    requests = [
        TokenRequest(),
        TokenRequest(model=THINKING),
        TokenRequest(model=ALIAS),
        TokenRequest(response_modality="AUDIO"),
        TokenRequest(duration_minutes=31),
        TokenRequest(system_instruction="brief"),
        TokenRequest(system_instruction=""),
        TokenRequest(temperature=0.0),
        TokenRequest(temperature=1.0),
    ]
    prints = {TERMS.grant(request).fingerprint for request in requests}
    assert len(prints) == len(requests)


def test_a_request_has_a_fingerprint_before_it_is_granted() -> None:
    """What was sent is digested as it was sent, refused or not, and without its id."""
    requests = [
        TokenRequest(),
        TokenRequest(model="../x"),
        TokenRequest(response_modality="text"),
        TokenRequest(response_modality="TEXT"),
        TokenRequest(duration_minutes=0),
        TokenRequest(duration_minutes=99),
        TokenRequest(system_instruction="x" * 2000),
        TokenRequest(system_instruction=""),
        TokenRequest(temperature=0.0),
        TokenRequest(temperature=float("nan")),
    ]
    prints = {request.fingerprint for request in requests}
    assert len(prints) == len(requests)
    assert prints == {replace(request, request_id="r").fingerprint for request in requests}
    assert {len(each) for each in prints} == {16}


@pytest.mark.parametrize(
    "duration, window, starts", [(30, 2, 2), (2, 2, 2), (1, 2, 1), (60, 59, 59)]
)
def test_the_start_window_ends_by_the_tokens_end(duration: int, window: int, starts: int) -> None:
    """Both run from the request; a session cannot start after the token ended."""
    terms = replace(TERMS, start_window_minutes=window)
    grant = terms.grant(TokenRequest(duration_minutes=duration))
    assert grant.lifetime(NOW) == Lifetime(NOW + duration * 60_000, NOW + starts * 60_000)


def test_an_instruction_is_not_shown() -> None:
    """What a user told the model is in no repr; nor is what else was sent, unchecked."""
    request = TokenRequest(system_instruction="my secret")
    assert "my secret" not in repr(request) + repr(TERMS.grant(request))
    sent = TokenRequest(model="my secret", response_modality="my secret", request_id="my secret")
    assert "my secret" not in repr(sent)


@pytest.mark.parametrize(
    "sent, locked",
    [
        ("cafe\u0301", "caf\u00e9"),
        ("\u212b", "\u00c5"),
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("\uff21", "\uff21"),
    ],
)
def test_an_instruction_is_locked_in_one_spelling(sent: str, locked: str) -> None:
    """Composed characters (NFC), lines ended by a newline, and nothing else is changed."""
    assert TERMS.grant(TokenRequest(system_instruction=sent)).system_instruction == locked


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """The sentence and the reason are of the first field, in the order of the API."""
    request = TokenRequest(
        model="../x",
        response_modality="VIDEO",
        duration_minutes=0,
        system_instruction="a\0",
        temperature=3,
        request_id="\0",
    )
    with pytest.raises(ModelNotAllowed) as refused:
        TERMS.grant(request)
    assert refused.value.message == "model: is not one of the allowed models"
    assert [violation.field for violation in refused.value.violations] == [
        "model",
        "responseModality",
        "duration",
        "systemInstruction",
        "temperature",
        "requestId",
    ]


def test_text_of_a_model_that_only_speaks_is_refused_with_what_to_ask_for() -> None:
    """The refusal says where its text is, and which models do answer in text."""
    with pytest.raises(InvalidArgument) as refused:
        TERMS.grant(TokenRequest(model=AUDIO_MODEL, response_modality="text"))
    assert refused.value.message == (
        f"responseModality: must be AUDIO with model {AUDIO_MODEL}; "
        "what it says comes as text too, in outputAudioTranscription; "
        f"TEXT can be asked of {TEXT_MODEL} or {THINKING}"
    )
    alone = replace(TERMS, catalogue=catalogue((AUDIO_MODEL,), AUDIO_MODEL))
    with pytest.raises(InvalidArgument) as refused:
        alone.grant(TokenRequest(response_modality="TEXT"))
    assert refused.value.message.endswith("in outputAudioTranscription")


def test_audio_of_a_model_that_only_writes_is_refused_with_who_speaks() -> None:
    """Without a way around it, only the models that can are named."""
    known = {m.name: m for m in (Model(name="mute", modalities=(Modality.TEXT,)), Model(name="b"))}
    terms = replace(TERMS, catalogue=catalogue(known, "mute", known))
    with pytest.raises(InvalidArgument) as refused:
        terms.grant(TokenRequest(response_modality="AUDIO"))
    assert refused.value.message == (
        "responseModality: must be TEXT with model mute; AUDIO can be asked of b"
    )
