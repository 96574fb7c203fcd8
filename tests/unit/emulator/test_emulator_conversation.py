"""What the emulated model says."""

from typing import Any

import pytest

from emulator import speech
from emulator.conversation import Conversation
from emulator.errors import InvalidPayload, Refusal

TEXT: dict[str, Any] = {"generationConfig": {"responseModalities": ["TEXT"]}}
MANUAL = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
SECOND = b"\0" * 32_000


def conversation(setup: dict[str, Any], after: int = 0) -> Conversation:
    """Start a conversation."""
    return Conversation(setup, answer_after_audio_bytes=after)


def turn(text: str, *, complete: bool = True) -> dict[str, Any]:
    """Return a client's turn."""
    content = {"role": "user", "parts": [{"text": text}]}
    return {"clientContent": {"turns": [content], "turnComplete": complete}}


def audio(data: bytes, **more: Any) -> dict[str, Any]:
    """Return a chunk of microphone."""
    blob = {"mimeType": "audio/pcm;rate=16000", "data": data}
    return {"realtimeInput": {"audio": blob, **more}}


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """Return what each server message is about."""
    return [next(iter(message["serverContent"])) for message in messages]


def text_of(messages: list[dict[str, Any]]) -> str:
    """Put the pieces of a written answer together."""
    turns = [message["serverContent"].get("modelTurn", {}) for message in messages]
    return "".join(part["text"] for turn in turns for part in turn.get("parts", []))


def test_a_written_answer_comes_in_pieces_and_is_completed() -> None:
    """Text comes in more than one message; then the generation and the turn are complete."""
    answer = conversation(TEXT).receive(turn("hello"))
    assert kinds(answer) == ["modelTurn", "modelTurn", "generationComplete", "turnComplete"]
    assert text_of(answer) == "You said: hello"
    assert answer[-1]["usageMetadata"] == {
        "promptTokenCount": 1,
        "responseTokenCount": 3,
        "totalTokenCount": 4,
        "responseTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
    }


def test_a_spoken_answer_is_audio_and_its_transcript_is_extra() -> None:
    """AUDIO is the default; what was said is transcribed only if the setup asks for it."""
    assert kinds(conversation({}).receive(turn("hello"))) == [
        "modelTurn",
        "generationComplete",
        "turnComplete",
    ]
    answer = conversation({"outputAudioTranscription": {}}).receive(turn("hello"))
    assert answer[0]["serverContent"]["modelTurn"]["parts"] == [
        {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": speech.tone()}}
    ]
    assert answer[1] == {"serverContent": {"outputTranscription": {"text": "You said: hello"}}}


def test_an_incomplete_turn_waits() -> None:
    """Content is collected, over messages, until the turn is complete."""
    talk = conversation(TEXT)
    assert talk.receive(turn("one", complete=False)) == []
    assert text_of(talk.receive(turn("two"))) == "You said: one two"
    assert text_of(talk.receive(turn("three"))) == "You said: three"
    assert talk.turns == 2


def test_realtime_text_is_answered_at_once() -> None:
    """Realtime text needs no end of turn."""
    assert text_of(conversation(TEXT).receive({"realtimeInput": {"text": "hi"}})) == "You said: hi"


def test_audio_is_answered_when_it_ends() -> None:
    """Audio is collected until the stream ends, and then answered once."""
    talk = conversation(TEXT | {"inputAudioTranscription": {}})
    assert talk.receive(audio(SECOND)) == []
    assert talk.receive(audio(SECOND)) == []
    answer = talk.receive({"realtimeInput": {"audioStreamEnd": True}})
    assert answer[0] == {"serverContent": {"inputTranscription": {"text": "2000 ms of audio"}}}
    assert text_of(answer) == "You said: 2000 ms of audio"
    assert talk.receive({"realtimeInput": {"audioStreamEnd": True}}) == []


def test_much_audio_is_answered_before_it_ends() -> None:
    """After the configured number of bytes the answer comes by itself."""
    talk = conversation(TEXT, after=len(SECOND) * 2)
    assert talk.receive(audio(SECOND)) == []
    assert text_of(talk.receive(audio(SECOND))) == "You said: 2000 ms of audio"
    assert talk.receive(audio(SECOND)) == []


def test_the_older_media_chunks_are_heard_too() -> None:
    """`mediaChunks` is the old name for audio; pictures among them are not heard."""
    chunks = [
        {"mimeType": "audio/pcm", "data": SECOND},
        {"mimeType": "image/jpeg", "data": b"?"},
    ]
    ended = {"realtimeInput": {"mediaChunks": chunks, "audioStreamEnd": True}}
    assert text_of(conversation(TEXT).receive(ended)) == "You said: 1000 ms of audio"


def test_manual_activity_ends_with_the_activity() -> None:
    """Where detection is switched off, `activityEnd` ends the turn."""
    talk = conversation(TEXT | MANUAL)
    assert talk.receive({"realtimeInput": {"activityStart": {}}}) == []
    assert talk.receive(audio(SECOND)) == []
    ended = talk.receive({"realtimeInput": {"activityEnd": {}}})
    assert text_of(ended) == "You said: 1000 ms of audio"


@pytest.mark.parametrize(
    "message",
    [
        {"setup": {}},
        {"realtimeInput": {"activityStart": {}}},
        {"realtimeInput": {"activityEnd": {}}},
        {"realtimeInput": {"audio": {"mimeType": "image/png", "data": b""}}},
        {"realtimeInput": {"audio": {"data": b""}}},
    ],
)
def test_what_google_refuses_is_refused(message: dict[str, Any]) -> None:
    """A second setup, activity signals beside automatic detection, audio that is none: 1007."""
    with pytest.raises(Refusal) as refused:
        conversation(TEXT).receive(message)
    assert refused.value.code == 1007


@pytest.mark.parametrize("message", [{}, {"clientContent": {}, "realtimeInput": {}}])
def test_a_message_is_exactly_one_thing(message: dict[str, Any]) -> None:
    """An empty message, or two in one, is an invalid payload."""
    with pytest.raises(InvalidPayload):
        conversation(TEXT).receive(message)


def test_a_tool_response_is_taken_without_an_answer() -> None:
    """The emulator calls no tools, and does not fall over a client that answers one."""
    assert conversation(TEXT).receive({"toolResponse": {"functionResponses": []}}) == []
