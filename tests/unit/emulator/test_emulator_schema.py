"""Protobuf JSON, as Google reads it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from emulator.errors import InvalidPayload
from emulator.messages import AUTH_TOKEN, CLIENT_MESSAGE, SETUP
from emulator.schema import load


def test_both_spellings_of_a_name_are_read() -> None:
    """Names are read in camelCase and snake_case, at any depth, and become camelCase."""
    camel = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}
    snake = {"generation_config": {"thinking_config": {"thinking_level": "LOW"}}}
    assert SETUP(camel, "") == SETUP(snake, "") == camel


def test_null_is_unset() -> None:
    """A field that is null is a field that is absent."""
    assert SETUP({"model": None}, "") == {}


def test_free_form_fields_keep_their_names() -> None:
    """What is inside a free-form field is left as it is."""
    tools = [{"functionDeclarations": [{"name": "f", "parameters": {"snake_case": 1}}]}]
    assert SETUP({"tools": tools}, "") == {"tools": tools}


def test_unknown_name_is_told_in_googles_words() -> None:
    """An unknown name is quoted, with the place where it stood in snake_case."""
    with pytest.raises(InvalidPayload) as refused:
        AUTH_TOKEN({"bidiGenerateContentSetup": {"generationConfig": {"foo": 1}}}, "auth_token")
    assert refused.value.description == (
        'Invalid JSON payload received. Unknown name "foo" at '
        "'auth_token.bidi_generate_content_setup.generation_config': Cannot find field."
    )
    assert refused.value.as_google_error().body() == {
        "error": {
            "code": 400,
            "message": refused.value.description,
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        {
                            "field": "auth_token.bidi_generate_content_setup.generation_config",
                            "description": refused.value.description,
                        }
                    ],
                }
            ],
        }
    }


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"uses": True},
        {"uses": 1.5},
        {"uses": "many"},
        {"uses": 2**31},
        {"expireTime": 5},
        {"expireTime": "tomorrow"},
        {"expireTime": "2026-01-01T00:00:00"},
        {"expireTime": "2026-13-01T00:00:00Z"},
        {"expireTime": "0001-01-01T00:00:00+10:00"},
        {"expireTime": "2026-01-01T00:00:00Z", "expire_time": "2026-01-01T00:00:00Z"},
        {"fieldMask": ["model"]},
        {"bidiGenerateContentSetup": []},
        {"bidiGenerateContentSetup": {"model": 1}},
        {"bidiGenerateContentSetup": {"systemInstruction": "a string is not a Content"}},
        {"bidiGenerateContentSetup": {"tools": {"googleSearch": {}}}},
        {"bidiGenerateContentSetup": {"labels": 1}},
        {"bidiGenerateContentSetup": {"generationConfig": {"temperature": "warm"}}},
        {"bidiGenerateContentSetup": {"generationConfig": {"responseModalities": ["SMELL"]}}},
        {"bidiGenerateContentSetup": {"proactivity": {"proactiveAudio": "yes"}}},
    ],
)
def test_misfits_are_refused(body: Any) -> None:
    """A value that does not fit its field is refused."""
    with pytest.raises(InvalidPayload):
        AUTH_TOKEN(body, "auth_token")


def test_integers_may_be_strings() -> None:
    """Protobuf JSON writes integers as numbers or as strings of digits."""
    assert AUTH_TOKEN({"uses": "3"}, "") == AUTH_TOKEN({"uses": 3.0}, "") == {"uses": 3}


def test_times_are_moments() -> None:
    """A time means the same moment in whichever zone and precision it is written."""
    expected = {"expireTime": datetime(2026, 1, 1, 12, tzinfo=UTC)}
    for text in (
        "2026-01-01T12:00:00Z",
        "2026-01-01T14:00:00+02:00",
        "2026-01-01t12:00:00.000000000z",
    ):
        assert AUTH_TOKEN({"expireTime": text}, "") == expected


@pytest.mark.parametrize("text", ["-_8=", "+/8=", "+/8"])
def test_every_common_base64_is_read(text: str) -> None:
    """Audio may be in standard or URL-safe base64, padded or not."""
    message = {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": text}}}
    assert CLIENT_MESSAGE(message, "")["realtimeInput"]["audio"]["data"] == b"\xfb\xff"


@pytest.mark.parametrize("text", ["{", "", "NaN", '{"a": Infinity}', "[" * 100_000, b"\xff"])
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    """Malformed JSON is an invalid payload, never a crash."""
    with pytest.raises(InvalidPayload):
        load(text)


def test_broken_base64_is_refused() -> None:
    """Audio that is no base64 is an invalid payload."""
    with pytest.raises(InvalidPayload):
        CLIENT_MESSAGE({"realtimeInput": {"audio": {"data": "!"}}}, "")
