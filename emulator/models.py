"""The Live models that the emulator offers, and what each refuses at connect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from emulator.errors import INVALID_FRAME, POLICY_VIOLATION, Refusal

DEFAULT_MODALITY = "AUDIO"


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """One model: TEXT output is refused only where that has been observed."""

    name: str
    display_name: str
    audio_only: bool = False
    thinking_level: Literal["required", "refused"] = "refused"

    def resource(self) -> dict[str, Any]:
        """Return the model as `models.list` shows it."""
        return {
            "name": self.name,
            "version": "001",
            "displayName": self.display_name,
            "description": f"{self.display_name}, emulated",
            "inputTokenLimit": 131072,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["bidiGenerateContent"],
            "thinking": self.thinking_level == "required",
        }


MODELS = {
    model.name: model
    for model in (
        LiveModel(name="models/gemini-3.8-live", display_name="Gemini 3.8 Live"),
        LiveModel(
            name="models/gemini-3.8-live-extended-thinking",
            display_name="Gemini 3.8 Live Extended Thinking",
            thinking_level="required",
        ),
        LiveModel(
            name="models/gemini-3.1-flash-live-preview",
            display_name="Gemini 3.1 Flash Live Preview",
            audio_only=True,
        ),
    )
}


def modalities(setup: dict[str, Any]) -> list[str]:
    """Return the response modalities that a setup asks for."""
    return setup.get("generationConfig", {}).get("responseModalities") or [DEFAULT_MODALITY]


def check_setup(setup: dict[str, Any], version: str) -> LiveModel:
    """Return the setup's model, or refuse the setup as that model would."""
    name = setup.get("model", "")
    model = MODELS.get(name)
    if model is None:
        raise Refusal(
            POLICY_VIOLATION,
            f"{name or 'models/'} is not found for API version {version}, "
            "or is not supported for bidiGenerateContent.",
        )
    asked = modalities(setup)
    if len(asked) > 1:
        raise Refusal(INVALID_FRAME, "Only one response modality can be set.")
    if asked[0] == "IMAGE" or (asked[0] == "TEXT" and model.audio_only):
        raise Refusal(INVALID_FRAME, f"{asked[0]} response modality is not supported by {name}.")
    thinking = setup.get("generationConfig", {}).get("thinkingConfig", {})
    has_level = "thinkingLevel" in thinking
    if has_level and model.thinking_level == "refused":
        raise Refusal(INVALID_FRAME, f"Thinking level is not supported by {name}.")
    if not has_level and model.thinking_level == "required":
        raise Refusal(INVALID_FRAME, f"A thinking level is required by {name}.")
    return model
