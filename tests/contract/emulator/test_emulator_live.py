"""The live socket: who gets in, with which setup, and what is said."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

Mint = Callable[..., Awaitable[str]]
Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]
Look = Callable[[str], Awaitable[Any]]

SERVICE = "google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
MODEL: dict[str, Any] = {"model": "models/gemini-3.8-live"}
TEXT: dict[str, Any] = {**MODEL, "generationConfig": {"responseModalities": ["TEXT"]}}
HELLO = {
    "clientContent": {
        "turns": [{"role": "user", "parts": [{"text": "hello"}]}],
        "turnComplete": True,
    }
}


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return the next message; the server sends JSON in binary frames."""
    message: dict[str, Any] = json.loads(await socket.receive_bytes())
    return message


async def answer_to(socket: aiohttp.ClientWebSocketResponse, message: Any) -> str:
    """Send a message and return the text of the whole turn that answers it."""
    await socket.send_json(message)
    text = ""
    while not (content := (await heard(socket))["serverContent"]).get("turnComplete"):
        text += "".join(part["text"] for part in content.get("modelTurn", {}).get("parts", []))
    return text


async def refusal(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """Return the code and the reason with which the server closes."""
    frame = await socket.receive()
    assert frame.type is aiohttp.WSMsgType.CLOSE, frame
    return socket.close_code, str(frame.extra)


@pytest.mark.parametrize("version", ["v1alpha", "v1beta"])
@pytest.mark.parametrize("slashes", ["/", "//"])
@pytest.mark.parametrize("place", ["query", "header"])
async def test_a_token_opens_a_session_as_either_sdk_sends_it(
    http: aiohttp.ClientSession, mint: Mint, version: str, slashes: str, place: str
) -> None:
    """Both versions, one slash or two, the token in the query or in the header: all connect."""
    token = await mint(TEXT)
    base = str(http._base_url).rstrip("/")
    url = f"{base}{slashes}ws/{SERVICE.format(version=version)}Constrained"
    url += f"?access_token={token}" if place == "query" else ""
    headers = {} if place == "query" else {"Authorization": f"Token {token}"}
    async with http.ws_connect(url, headers=headers) as socket:
        await socket.send_bytes(b'{"setup": {}}')
        assert await heard(socket) == {"setupComplete": {}}
        assert await answer_to(socket, HELLO) == "You said: hello"


async def test_messages_may_be_text_or_binary_in_either_spelling(
    mint: Mint, connect: Connect
) -> None:
    """Text frames and binary frames, camelCase and snake_case mean the same."""
    socket = await connect(await mint(TEXT))
    await heard(socket)
    said = {"turns": [{"parts": [{"text": "a"}]}], "turn_complete": True}
    assert await answer_to(socket, {"client_content": said}) == "You said: a"
    await socket.send_bytes(json.dumps({"realtimeInput": {"text": "b"}}).encode())
    assert "modelTurn" in (await heard(socket))["serverContent"]


async def test_the_lock_is_in_force_and_can_be_seen(
    mint: Mint, connect: Connect, look: Look
) -> None:
    """What the client asks for beyond its token is not in force, and the control API shows it."""
    locked = {**TEXT, "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    token = await mint(locked)
    wish = {"model": "models/unknown", "generationConfig": {"temperature": 2}, "tools": []}
    socket = await connect(token, wish)
    assert await heard(socket) == {"setupComplete": {}}
    session = (await look("sessions"))["sessions"][0]
    assert session["setup"] == locked
    assert (session["state"], session["token"]) == ("open", token)


async def test_a_masked_lock_leaves_the_rest_to_the_client(
    mint: Mint, connect: Connect, look: Look
) -> None:
    """With a field mask, only the masked fields are the token's."""
    token = await mint(
        {**MODEL, "generationConfig": {"temperature": 0.5}},
        fieldMask="generationConfig.temperature",
    )
    socket = await connect(token, {**TEXT, "labels": {"a": "b"}})
    await heard(socket)
    generation_config = {"responseModalities": ["TEXT"], "temperature": 0.5}
    session = (await look("sessions"))["sessions"][0]
    assert session["setup"] == {
        **MODEL,
        "generationConfig": generation_config,
        "labels": {"a": "b"},
    }


async def test_a_used_token_is_refused(mint: Mint, connect: Connect, look: Look) -> None:
    """The second session of a single-use token is closed with 1011 and Google's words."""
    token = await mint(TEXT)
    await heard(await connect(token))
    assert await refusal(await connect(token)) == (1011, "Token has been used too many times")
    counters = await look("counters")
    assert (counters["sessionsOpened"], counters["sessionsRefused"]) == (1, 1)


async def test_a_use_cannot_be_taken_twice(mint: Mint, connect: Connect) -> None:
    """Of twenty clients that connect at once with one token, one gets in."""
    token = await mint(TEXT)
    sockets = await asyncio.gather(*(connect(token) for _ in range(20)))
    frames = await asyncio.gather(*(socket.receive() for socket in sockets))
    assert [frame.type for frame in frames].count(aiohttp.WSMsgType.BINARY) == 1


@pytest.mark.parametrize(
    "setup,code",
    [
        ({"model": "models/unknown"}, 1008),
        (
            {
                "model": "models/gemini-3.1-flash-live-preview",
                "generationConfig": {"responseModalities": ["TEXT"]},
            },
            1007,
        ),
        ({**MODEL, "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, 1007),
        ({"model": "models/gemini-3.8-live-extended-thinking"}, 1007),
        ({**MODEL, "foo": 1}, 1007),
        ({**MODEL, "sessionResumption": {"handle": "made-up"}}, 1008),
    ],
)
async def test_a_setup_that_cannot_be_served_is_refused_and_costs_nothing(
    mint: Mint, connect: Connect, setup: dict[str, Any], code: int
) -> None:
    """Unknown models and handles are 1008, the unsupported and the unknown 1007; no use is lost."""
    token = await mint()
    assert (await refusal(await connect(token, setup)))[0] == code
    assert await heard(await connect(token, MODEL)) == {"setupComplete": {}}


@pytest.mark.parametrize(
    "frame",
    ["{", '"text"', "{}", '{"foo": {}}', json.dumps(HELLO), '{"setup": {}, "clientContent": {}}'],
)
async def test_the_first_message_must_be_a_setup(
    http: aiohttp.ClientSession, mint: Mint, frame: str
) -> None:
    """Anything but a setup as the first message is closed with 1007."""
    url = f"/ws/{SERVICE.format(version='v1beta')}Constrained?access_token={await mint(TEXT)}"
    async with http.ws_connect(url) as socket:
        await socket.send_str(frame)
        assert (await refusal(socket))[0] == 1007


@pytest.mark.parametrize("frame", ["{", '{"foo": 1}', '{"setup": {}}', "{}"])
async def test_a_bad_message_ends_the_session(mint: Mint, connect: Connect, frame: str) -> None:
    """A message that is malformed, unknown, or a second setup is closed with 1007."""
    socket = await connect(await mint(TEXT))
    await heard(socket)
    await socket.send_str(frame)
    assert (await refusal(socket))[0] == 1007


@pytest.mark.parametrize(
    "suffix,headers,code",
    [
        ("Constrained", {}, 1008),
        ("Constrained?access_token=auth_tokens/made-up", {}, 1008),
        ("Constrained?key=emulator-key", {}, 1008),
        ("", {}, 1008),
        ("?key=wrong", {}, 1007),
        ("?key=emulator-key", {}, None),
        ("", {"x-goog-api-key": "emulator-key"}, None),
    ],
)
async def test_who_may_connect(
    http: aiohttp.ClientSession, suffix: str, headers: dict[str, str], code: int | None
) -> None:
    """The constrained method takes a known token, the plain one the right key; else 1008, 1007."""
    url = f"/ws/{SERVICE.format(version='v1beta')}{suffix}"
    async with http.ws_connect(url, headers=headers) as socket:
        await socket.send_json({"setup": TEXT})
        if code is None:
            assert await heard(socket) == {"setupComplete": {}}
        else:
            assert (await refusal(socket))[0] == code


async def test_a_plain_request_for_the_socket_is_an_error(http: aiohttp.ClientSession) -> None:
    """Asked without an upgrade, the live method answers 400 in Google's shape."""
    async with http.get(f"/ws/{SERVICE.format(version='v1beta')}") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, 400)


async def test_a_large_chunk_of_audio_is_heard(mint: Mint, connect: Connect) -> None:
    """Five megabytes of audio in one message are within what the socket takes."""
    socket = await connect(await mint(TEXT))
    await heard(socket)
    audio = {"mimeType": "audio/pcm;rate=16000", "data": "AAAA" * (5_000_000 // 3)}
    said = await answer_to(socket, {"realtimeInput": {"audio": audio}})
    assert said == "You said: 156249 ms of audio"
