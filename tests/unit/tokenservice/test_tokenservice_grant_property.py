"""Whatever a client sends, what Gemini is asked for stays within the profile."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from serving.errors import InvalidArgument
from tokenservice import gemini
from tokenservice.grant import Terms, TokenRequest
from tokenservice.models import catalogue

MODELS = (
    "gemini-3.8-live",
    "gemini-3.8-live-extended-thinking",
    "gemini-3.1-flash-live-preview",
)
AUDIO_ONLY = MODELS[2]
RETIRED = ("gemini-2.0-flash-live-001", "gemini-live-2.5-flash-preview")
NOW = 1_767_225_600_000
FIELDS = ("model", "responseModality", "duration", "systemInstruction", "temperature", "requestId")
NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

anything = st.text(st.characters(exclude_categories=()), max_size=60)
requests = st.builds(
    TokenRequest,
    model=st.sampled_from(("", *MODELS, *RETIRED)) | anything,
    response_modality=st.sampled_from(("", "TEXT", "audio")) | anything,
    duration_minutes=st.none() | st.integers(-1, 70) | st.integers(-(2**31), 2**31 - 1),
    system_instruction=st.none() | anything | anything.map(lambda text: text * 40),
    temperature=st.none() | st.floats(-1, 3) | st.floats(),
    request_id=st.just("") | anything,
)


@st.composite
def all_terms(draw: st.DrawFn) -> Terms:
    """Draw what an operator may have set."""
    allowed = draw(st.lists(st.sampled_from(MODELS), min_size=1, unique=True))
    longest = draw(st.integers(1, 1199))
    return Terms(
        catalogue=catalogue(allowed, draw(st.sampled_from(allowed))),
        default_duration_minutes=draw(st.integers(1, longest)),
        max_duration_minutes=longest,
        start_window_minutes=draw(st.integers(1, 1199)),
        custom_instructions=draw(st.booleans()),
        default_instruction="You are a helpful assistant.",
        api_version="v1beta",
    )


@settings(max_examples=400)
@given(terms=all_terms(), request=requests)
def test_what_gemini_is_asked_for_is_within_the_profile(
    terms: Terms, request: TokenRequest
) -> None:
    """One use, bounded times, an allowed model, clean text, known fields only; or a refusal."""
    try:
        grant = terms.grant(request)
    except InvalidArgument as refused:
        is_a_refusal(refused)
        return
    asked = gemini._request(grant, grant.lifetime(NOW), {}, 4)
    assert asked.uses == 1
    assert asked.lock_additional_fields is None  # a mask would leave the rest to the client
    assert asked.live_connect_constraints is None  # the setup below is all there is
    now = dt.datetime.fromtimestamp(NOW / 1000, tz=dt.UTC)
    assert asked.expire_time is not None
    assert asked.new_session_expire_time is not None
    assert now < asked.new_session_expire_time <= asked.expire_time
    assert asked.expire_time - now <= dt.timedelta(minutes=terms.max_duration_minutes)
    assert asked.expire_time - now < dt.timedelta(hours=20)
    window = dt.timedelta(minutes=terms.start_window_minutes)
    assert asked.new_session_expire_time - now <= window
    assert asked.http_options is not None
    assert asked.http_options.extra_body is not None
    assert asked.http_options.extra_body.keys() == {"bidiGenerateContentSetup"}
    in_profile(terms, asked.http_options.extra_body["bidiGenerateContentSetup"])


def is_a_refusal(refused: InvalidArgument) -> None:
    """Assert that fields are named, each once, and that nothing sent is repeated at length."""
    named = [violation.field for violation in refused.violations]
    assert sorted(set(named), key=FIELDS.index) == named != []
    assert refused.message.startswith(named[0])
    assert len(refused.message) < 300


def in_profile(terms: Terms, setup: dict[str, Any]) -> None:
    """Assert that a setup is one that we would write."""
    generation = setup.pop("generationConfig")
    model = setup.pop("model").removeprefix("models/")
    assert model in {each.name for each in terms.catalogue.models}
    (modality,) = generation.pop("responseModalities")
    assert modality in ({"AUDIO"} if model == AUDIO_ONLY else {"TEXT", "AUDIO"})
    assert 0 <= generation.pop("temperature", 0) <= 2
    thinking = {"thinkingConfig": {"thinkingLevel": "LOW"}}
    assert generation == (thinking if model == MODELS[1] else {})
    instruction = setup.pop("systemInstruction")
    text = instruction["parts"][0]["text"]
    assert instruction == {"role": "user", "parts": [{"text": text}]}
    assert len(text) <= 1000
    assert unicodedata.is_normalized("NFC", text)
    assert not NO_TEXT.search(text)
    assert terms.custom_instructions or text == terms.default_instruction
    assert setup == {
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }


@pytest.mark.parametrize("name", [*MODELS[1:], "gemini-9", "", *RETIRED])
def test_not_allowed_and_unknown_are_one_answer(name: str) -> None:
    """Whoever tries names learns only which are allowed, which `config` tells anyway."""
    terms = Terms(catalogue(MODELS[:1], MODELS[0]), 30, 60, 2, False, "Be brief.", "v1beta")  # noqa: FBT003
    if name in ("", *RETIRED):
        assert terms.grant(TokenRequest(model=name)).model.name == MODELS[0]
        return
    with pytest.raises(InvalidArgument) as refused:
        terms.grant(TokenRequest(model=name))
    assert (refused.value.reason, refused.value.message) == (
        "MODEL_NOT_ALLOWED",
        "model: is not one of the allowed models",
    )
