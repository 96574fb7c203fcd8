"""What the emulated model says: a pure function of its setup and of what it was sent."""

from __future__ import annotations

from typing import Any

from emulator import speech
from emulator.errors import INVALID_FRAME, InvalidPayload, Refusal
from emulator.models import modalities

ServerMessage = dict[str, Any]

_KINDS = ("setup", "clientContent", "realtimeInput", "toolResponse")


def kind_of(message: dict[str, Any]) -> str:
    """Return which of the client's messages this is."""
    kinds = [kind for kind in _KINDS if kind in message]
    if len(kinds) != 1:
        raise InvalidPayload(f"Expected exactly one of {', '.join(_KINDS)} in a message.")
    return kinds[0]


class Conversation:
    """One session's turns. It repeats what it was told, so that a test knows what to expect."""

    def __init__(self, setup: dict[str, Any], *, answer_after_audio_bytes: int) -> None:
        self._setup = setup
        self._answer_after = answer_after_audio_bytes
        self._text: list[str] = []
        self._audio_bytes = 0
        self.turns = 0

    def receive(self, message: dict[str, Any]) -> list[ServerMessage]:
        """Take one client message and return what the server sends because of it."""
        match kind_of(message):
            case "clientContent":
                return self._client_content(message["clientContent"])
            case "realtimeInput":
                return self._realtime_input(message["realtimeInput"])
            case "setup":
                raise Refusal(INVALID_FRAME, "setup must be the first message and only the first.")
            case _:
                return []  # the emulator calls no tools, so it waits for no response

    def _client_content(self, content: dict[str, Any]) -> list[ServerMessage]:
        turns = content.get("turns", [])
        parts = [part for turn in turns for part in turn.get("parts", [])]
        self._text += [part["text"] for part in parts if part.get("text")]
        return self._answer() if content.get("turnComplete") else []

    def _realtime_input(self, received: dict[str, Any]) -> list[ServerMessage]:
        if "activityStart" in received or "activityEnd" in received:
            self._require_manual_activity()
        if "audio" in received and not _is_audio(received["audio"]):
            raise Refusal(INVALID_FRAME, "Request contains an invalid argument: audio.mime_type")
        blobs = [*received.get("mediaChunks", []), received.get("audio", {})]
        self._audio_bytes += sum(len(blob.get("data", b"")) for blob in blobs if _is_audio(blob))
        if received.get("text"):
            self._text.append(received["text"])
            return self._answer()
        ended = received.get("audioStreamEnd") or "activityEnd" in received
        enough = 0 < self._answer_after <= self._audio_bytes
        return self._answer() if enough or (ended and self._audio_bytes) else []

    def _require_manual_activity(self) -> None:
        detection = self._setup.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
        if not detection.get("disabled"):
            raise Refusal(
                INVALID_FRAME,
                "Explicit activity control is not supported when automatic activity detection "
                "is enabled.",
            )

    def _answer(self) -> list[ServerMessage]:
        heard, self._audio_bytes = self._audio_bytes, 0
        transcript = f"{speech.milliseconds(heard)} ms of audio" if heard else ""
        said = " ".join([*self._text, transcript] if transcript else self._text)
        self._text.clear()
        self.turns += 1
        reply = f"You said: {said}"
        content: list[dict[str, Any]] = []
        if heard and "inputAudioTranscription" in self._setup:
            content.append({"inputTranscription": {"text": transcript}})
        content += self._spoken(reply) if self._speaks else _written(reply)
        content.append({"generationComplete": True})
        return [
            *({"serverContent": part} for part in content),
            {"serverContent": {"turnComplete": True}, "usageMetadata": self._usage(said, reply)},
        ]

    @property
    def _speaks(self) -> bool:
        return modalities(self._setup) == ["AUDIO"]

    def _spoken(self, reply: str) -> list[dict[str, Any]]:
        sound = {"inlineData": {"mimeType": speech.MIME_TYPE, "data": speech.tone()}}
        content: list[dict[str, Any]] = [{"modelTurn": {"role": "model", "parts": [sound]}}]
        if "outputAudioTranscription" in self._setup:
            content.append({"outputTranscription": {"text": reply}})
        return content

    def _usage(self, said: str, reply: str) -> dict[str, Any]:
        asked = len(said.split())
        answered = (
            round(speech.TONE_SECONDS * speech.TOKENS_PER_SECOND)
            if self._speaks
            else len(reply.split())
        )
        modality = "AUDIO" if self._speaks else "TEXT"
        return {
            "promptTokenCount": asked,
            "responseTokenCount": answered,
            "totalTokenCount": asked + answered,
            "responseTokensDetails": [{"modality": modality, "tokenCount": answered}],
        }


def _is_audio(blob: dict[str, Any]) -> bool:
    return bool(blob.get("mimeType", "").startswith("audio/"))


def _written(reply: str) -> list[dict[str, Any]]:
    """Send a text in two pieces: whoever reads only the first is caught here."""
    middle = len(reply) // 2
    pieces = (reply[:middle], reply[middle:])
    return [{"modelTurn": {"role": "model", "parts": [{"text": piece}]}} for piece in pieces]
