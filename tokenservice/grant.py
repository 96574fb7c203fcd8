"""What was asked for, checked, and what it therefore grants."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serving.errors import InvalidArgument
from tokenservice.errors import CustomInstructionNotAllowed, ModelNotAllowed
from tokenservice.models import Catalogue, Modality, Model
from tokenservice.token import Lifetime

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_INSTRUCTION_CHARS = 1000
MAX_TEMPERATURE = 2
_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What was asked for, unchecked. None and "" mean: not given."""

    model: str = ""
    response_modality: str = ""
    duration_minutes: int | None = None
    system_instruction: str | None = field(default=None, repr=False)
    temperature: float | None = None
    request_id: str = ""

    @property
    def fingerprint(self) -> bytes:
        """A digest of the request as it was sent, but for its id."""
        return _digest(
            self.model,
            self.response_modality,
            self.duration_minutes,
            self.system_instruction,
            self.temperature,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token shall be locked to."""

    model: Model
    requested_model: str
    modality: Modality
    duration_minutes: int
    start_window_minutes: int
    system_instruction: str = field(repr=False)
    temperature: float | None = None

    @property
    def fingerprint(self) -> bytes:
        """A digest of all that is granted: equal grants, equal digests."""
        return _digest(
            self.model.name,
            self.requested_model,
            self.modality,
            self.duration_minutes,
            self.system_instruction,
            self.temperature,
        )

    def lifetime(self, requested_at: int) -> Lifetime:
        """Count from the request, in milliseconds; the start window ends by the token's end."""
        expires_at = requested_at + self.duration_minutes * 60_000
        window = requested_at + self.start_window_minutes * 60_000
        return Lifetime(expires_at, min(window, expires_at))

    @property
    def setup(self) -> Mapping[str, object]:
        """The whole `BidiGenerateContentSetup` to lock.

        It is complete and goes without a field mask, so it replaces whatever
        setup the client sends: what stands here is all that a session can be.
        """
        generation: dict[str, object] = {"responseModalities": [self.modality]}
        if self.temperature is not None:
            generation["temperature"] = self.temperature
        if self.model.thinking_level is not None:
            generation["thinkingConfig"] = {"thinkingLevel": self.model.thinking_level}
        return {
            "model": f"models/{self.model.name}",
            "generationConfig": generation,
            "systemInstruction": {"role": "user", "parts": [{"text": self.system_instruction}]},
            "sessionResumption": {},
            "contextWindowCompression": {"slidingWindow": {}},
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be granted."""

    catalogue: Catalogue
    default_duration_minutes: int
    max_duration_minutes: int
    start_window_minutes: int
    custom_instructions: bool
    default_instruction: str
    api_version: str
    """The Live API version that tokens are minted for."""

    def grant(self, request: TokenRequest) -> Grant:
        """Check a request and fill in what it leaves open.

        Raises:
            InvalidArgument: A field is not what it must be; it is named in the
                spelling of the HTTP contract.
            ModelNotAllowed: The model is not on the list.
            CustomInstructionNotAllowed: An instruction, while those are off.

        """
        model = self._model(request.model)
        if request.request_id and not _REQUEST_ID.fullmatch(request.request_id):
            raise InvalidArgument("requestId", "must be 1 to 128 printable ASCII characters")
        return Grant(
            model=model,
            requested_model=request.model or model.name,
            modality=_modality(request.response_modality, model),
            duration_minutes=self._duration(request.duration_minutes),
            start_window_minutes=self.start_window_minutes,
            system_instruction=self._instruction(request.system_instruction),
            temperature=_temperature(request.temperature),
        )

    def _model(self, name: str) -> Model:
        if not name:
            return self.catalogue.default
        model = self.catalogue.find(name)
        if model is None:
            raise ModelNotAllowed("model", "is not one of the allowed models")
        return model

    def _duration(self, minutes: int | None) -> int:
        if minutes is None:
            return self.default_duration_minutes
        if not 1 <= minutes <= self.max_duration_minutes:
            raise InvalidArgument(
                "duration", f"must be a whole number of minutes, 1 to {self.max_duration_minutes}"
            )
        return minutes

    def _instruction(self, text: str | None) -> str:
        if text is None:
            return self.default_instruction
        if not self.custom_instructions:
            raise CustomInstructionNotAllowed(
                "systemInstruction", "custom system instructions are not allowed"
            )
        if len(text) > MAX_INSTRUCTION_CHARS:
            raise InvalidArgument(
                "systemInstruction", f"must be at most {MAX_INSTRUCTION_CHARS} characters"
            )
        return text


def _digest(*content: str | float | None) -> bytes:
    return hashlib.sha256(json.dumps(content).encode()).digest()[:16]


def _modality(name: str, model: Model) -> Modality:
    if not name:
        return model.default_modality
    try:
        modality = Modality(name.upper())
    except ValueError:
        raise InvalidArgument("responseModality", "must be TEXT or AUDIO") from None
    if modality not in model.modalities:
        offered = " or ".join(model.modalities)
        raise InvalidArgument("responseModality", f"must be {offered} with model {model.name}")
    return modality


def _temperature(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= MAX_TEMPERATURE:  # NaN is not either
        raise InvalidArgument("temperature", f"must be a number from 0 to {MAX_TEMPERATURE}")
    return value
