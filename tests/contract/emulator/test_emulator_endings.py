"""How a session ends, and how it goes on: expiry, goAway, resumption. Time is moved, not waited."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

Mint = Callable[..., Awaitable[str]]
Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]
Look = Callable[[str], Awaitable[Any]]
Order = Callable[..., Awaitable[None]]

SETUP: dict[str, Any] = {
    "model": "models/gemini-3.8-live",
    "generationConfig": {"responseModalities": ["TEXT"]},
}
RESUMABLE = {**SETUP, "sessionResumption": {}}


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return the next message."""
    message: dict[str, Any] = json.loads(await socket.receive_bytes())
    return message


async def refusal(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """Return the code and the reason with which the server closes."""
    frame = await socket.receive()
    assert frame.type is aiohttp.WSMsgType.CLOSE, frame
    return socket.close_code, str(frame.extra)


def in_(**duration: float) -> str:
    """Return a time as a client writes it."""
    return (datetime.now(UTC) + timedelta(**duration)).isoformat()


async def test_a_running_session_ends_with_its_token(
    mint: Mint, connect: Connect, order: Order
) -> None:
    """The expiry of the token closes the session that it opened, and opens no other."""
    token = await mint(SETUP, uses=2, expireTime=in_(minutes=5))
    socket = await connect(token)
    await heard(socket)
    await order("clock", {"advanceSeconds": 5 * 60})
    assert await refusal(socket) == (1011, "auth token has expired")
    assert await refusal(await connect(token)) == (1011, "auth token has expired")


async def test_the_start_window_closes(mint: Mint, connect: Connect, order: Order) -> None:
    """After newSessionExpireTime the token opens no session."""
    token = await mint(SETUP)
    await order("clock", {"advanceSeconds": 61})
    assert (await refusal(await connect(token)))[0] == 1011


async def test_a_connection_is_warned_before_it_is_closed(
    mint: Mint, connect: Connect, order: Order
) -> None:
    """`goAway` comes a minute before the ten minutes are over; then the connection is closed."""
    socket = await connect(await mint(SETUP))
    await heard(socket)
    await order("clock", {"advanceSeconds": 9 * 60})
    assert await heard(socket) == {"goAway": {"timeLeft": "60s"}}
    await order("clock", {"advanceSeconds": 60})
    code, reason = await refusal(socket)
    assert code == 1008
    assert "GoAway" in reason


async def test_a_session_is_resumed_by_its_handle(
    mint: Mint, connect: Connect, order: Order, look: Look
) -> None:
    """A handle resumes the session, even with a used-up token, and after two hours no longer."""
    token = await mint(RESUMABLE, expireTime=in_(hours=10))
    socket = await connect(token)
    assert await heard(socket) == {"setupComplete": {}}
    update = (await heard(socket))["sessionResumptionUpdate"]
    assert update["resumable"] is True
    await socket.send_json({"realtimeInput": {"text": "hi"}})
    while "sessionResumptionUpdate" not in (message := await heard(socket)):
        pass  # a newer handle follows each turn
    handle = message["sessionResumptionUpdate"]["newHandle"]
    assert handle != update["newHandle"]
    await socket.close()
    wish = {"sessionResumption": {"handle": handle}}

    resumed = await connect(token, wish)
    assert await heard(resumed) == {"setupComplete": {}}
    second, first = (await look("sessions"))["sessions"]
    assert second["session"] == first["session"]
    assert (second["resumed"], first["resumed"]) == (True, False)
    await resumed.close()

    await order("clock", {"advanceSeconds": 2 * 60 * 60 + 1})
    assert (await refusal(await connect(token, wish)))[0] == 1008


async def test_a_client_that_leaves_is_noted(mint: Mint, connect: Connect, look: Look) -> None:
    """When the client closes, the session is closed in the journal as well."""
    socket = await connect(await mint(SETUP))
    await heard(socket)
    await socket.close()
    session = (await look("sessions"))["sessions"][0]
    assert (session["state"], session["closeCode"]) == ("closed", 1000)
