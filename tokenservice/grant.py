"""What was asked for, checked, and what it therefore grants."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serving.errors import InvalidArgument
from tokenservice.errors import CustomInstructionNotAllowed, ModelNotAllowed
from tokenservice.models import Modality
from tokenservice.token import Lifetime

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from tokenservice.models import Catalogue, Model

MAX_INSTRUCTION_CHARS = 1000
MAX_TEMPERATURE = 2
_TOLD = 3
"""How many models are named that can do what another cannot."""
_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
# Controls but tab and newline, lone surrogates, and the embeddings, overrides and isolates
# of UAX #9: with them a text reads otherwise than it is. The marks LRM, RLM and ALM stay.
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What was asked for, unchecked. None and "" mean: not given."""

    model: str = field(default="", repr=False)  # anything, of any length
    response_modality: str = field(default="", repr=False)
    duration_minutes: int | None = None
    system_instruction: str | None = field(default=None, repr=False)
    temperature: float | None = None
    request_id: str = field(default="", repr=False)

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
    requested_model_retired_on: dt.date | None
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
            InvalidArgument: Fields are not what they must be. The first is what the
                message, and the type, are about; `violations` names them all, in
                the spelling of the HTTP contract.
            ModelNotAllowed: The model is not on the list.
            CustomInstructionNotAllowed: An instruction, while those are off.

        """
        name = request.model
        model = self.catalogue.find(name) if name else self.catalogue.default
        problems = list(self._problems(request, model))
        if model is None or problems:
            raise _together(problems)
        duration, text = request.duration_minutes, request.system_instruction
        return Grant(
            model=model,
            requested_model=name or model.name,
            requested_model_retired_on=self.catalogue.retired_on(name),
            modality=Modality(request.response_modality.upper() or model.default_modality),
            duration_minutes=self.default_duration_minutes if duration is None else duration,
            start_window_minutes=self.start_window_minutes,
            system_instruction=self.default_instruction if text is None else _composed(text),
            temperature=request.temperature,
        )

    def _problems(self, request: TokenRequest, model: Model | None) -> Iterator[InvalidArgument]:
        """Yield what is wrong with each field; what is as it must be is passed over."""
        if model is None:
            yield ModelNotAllowed("model", "is not one of the allowed models")
        yield from _wrong("responseModality", self._wrong_modality(request, model))
        minutes, most = request.duration_minutes, self.max_duration_minutes
        if minutes is not None and not 1 <= minutes <= most:
            yield InvalidArgument("duration", f"must be a whole number of minutes, 1 to {most}")
        if request.system_instruction is not None and not self.custom_instructions:
            yield CustomInstructionNotAllowed(
                "systemInstruction", "custom system instructions are not allowed"
            )
        elif request.system_instruction is not None:
            yield from _wrong("systemInstruction", _wrong_text(request.system_instruction))
        if request.temperature is not None and not 0 <= request.temperature <= MAX_TEMPERATURE:
            yield InvalidArgument("temperature", f"must be a number from 0 to {MAX_TEMPERATURE}")
        if request.request_id and not _REQUEST_ID.fullmatch(request.request_id):
            yield InvalidArgument("requestId", "must be 1 to 128 printable ASCII characters")

    def _wrong_modality(self, request: TokenRequest, model: Model | None) -> str | None:
        """Return what the modality must be, and how else to get what is asked for."""
        asked = request.response_modality.upper()
        if asked and asked not in set(Modality):
            return "must be TEXT or AUDIO"
        if not asked or model is None or asked in model.modalities:
            return None
        offered = " or ".join(model.modalities)
        return f"must be {offered} with model {model.name}{self._instead(Modality(asked))}"

    def _instead(self, asked: Modality) -> str:
        able = [model.name for model in self.catalogue.models if asked in model.modalities]
        ways = ["what it says comes as text too, in outputAudioTranscription"]
        ways = ways if asked is Modality.TEXT else []
        ways += [f"{asked} can be asked of {' or '.join(able[:_TOLD])}"] if able else []
        return f"; {'; '.join(ways)}" if ways else ""


def plain_text(text: str) -> str:
    """Return an instruction as it is locked: composed (NFC, UAX #15), lines ended by LF.

    Raises:
        ValueError: It has characters that are no text, or too many; says which rule.

    """
    if (wrong := _wrong_text(text)) is not None:
        raise ValueError(wrong)
    return _composed(text)


def _composed(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _wrong_text(text: str) -> str | None:
    # Composing takes quadratic time in the worst case, and makes one of four at most.
    composed = text if len(text) > 4 * MAX_INSTRUCTION_CHARS else _composed(text)
    if len(composed) > MAX_INSTRUCTION_CHARS:
        return f"must be at most {MAX_INSTRUCTION_CHARS} characters"
    if _NO_TEXT.search(composed):
        return "must be text, without control characters or marks that change its direction"
    return None


def _wrong(field: str, description: str | None) -> Iterator[InvalidArgument]:
    if description is not None:
        yield InvalidArgument(field, description)


def _together(problems: Sequence[InvalidArgument]) -> InvalidArgument:
    first = problems[0]
    first.violations = tuple(each for problem in problems for each in problem.violations)
    return first


def _digest(*content: str | float | None) -> bytes:
    return hashlib.sha256(json.dumps(content).encode()).digest()[:16]
