"""What each model refuses at connect."""

from typing import Any

import pytest

from emulator.errors import Refusal
from emulator.models import check_setup

LIVE = "models/gemini-3.8-live"
THINKING = "models/gemini-3.8-live-extended-thinking"
LEGACY = "models/gemini-3.1-flash-live-preview"


def setup(model: str, **generation_config: Any) -> dict[str, Any]:
    """Return a setup of a model."""
    return {"model": model, "generationConfig": generation_config}


LEVEL = {"thinkingLevel": "LOW"}


@pytest.mark.parametrize(
    "allowed",
    [
        {"model": LIVE},
        setup(LIVE, responseModalities=["TEXT"]),
        setup(LIVE, thinkingConfig={"includeThoughts": False}),
        setup(THINKING, responseModalities=["TEXT"], thinkingConfig=LEVEL),
        setup(LEGACY, responseModalities=["AUDIO"]),
        {"model": LEGACY},
    ],
)
def test_what_a_model_can_do_is_allowed(allowed: dict[str, Any]) -> None:
    """A modality is refused only by the model that is known to lack it."""
    assert check_setup(allowed, "v1beta").name == allowed["model"]


@pytest.mark.parametrize(
    "refused,code",
    [
        ({}, 1008),
        (setup("gemini-3.8-live"), 1008),
        (setup("models/gemini-2.0-flash-live-001"), 1008),
        (setup(LEGACY, responseModalities=["TEXT"]), 1007),
        (setup(LIVE, responseModalities=["IMAGE"]), 1007),
        (setup(LIVE, responseModalities=["TEXT", "AUDIO"]), 1007),
        (setup(LIVE, thinkingConfig=LEVEL), 1007),
        (setup(LEGACY, thinkingConfig=LEVEL), 1007),
        (setup(THINKING), 1007),
    ],
)
def test_what_a_model_cannot_do_is_refused(refused: dict[str, Any], code: int) -> None:
    """Unknown models are 1008; unsupported settings, and a missing thinking level, 1007."""
    with pytest.raises(Refusal) as refusal:
        check_setup(refused, "v1beta")
    assert refusal.value.code == code
