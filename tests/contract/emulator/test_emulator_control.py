"""The control API: faults to order, what happened, and the clock."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from emulator.server import EmulatorServer

Mint = Callable[..., Awaitable[str]]
Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]
Look = Callable[[str], Awaitable[Any]]
Order = Callable[..., Awaitable[None]]

RIGHT = {"x-goog-api-key": "emulator-key"}
SETUP: dict[str, Any] = {
    "model": "models/gemini-3.8-live",
    "generationConfig": {"responseModalities": ["TEXT"]},
}
HELLO = {"realtimeInput": {"text": "hello"}}


async def test_minting_fails_as_ordered_and_then_recovers(
    http: aiohttp.ClientSession, order: Order, mint: Mint, look: Look
) -> None:
    """An ordered status comes with its words and Retry-After, as often as ordered."""
    await order(
        "faults/mint",
        {
            "status": 429,
            "googleStatus": "RESOURCE_EXHAUSTED",
            "message": "Quota exceeded.",
            "retryAfter": "7",
            "count": 1,
        },
    )
    async with http.post("/v1beta/auth_tokens", headers=RIGHT) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert await answer.json() == {
            "error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}
        }
    await mint()
    counters = await look("counters")
    assert (counters["mintRequests"], counters["tokensMinted"], counters["faultsMet"]) == (2, 1, 1)


async def test_a_status_alone_brings_googles_name_for_it(
    http: aiohttp.ClientSession, order: Order
) -> None:
    """The google.rpc status follows from the HTTP status unless ordered otherwise."""
    await order("faults/models", {"status": 503})
    async with http.get("/v1beta/models", headers=RIGHT) as answer:
        assert (await answer.json())["error"]["status"] == "UNAVAILABLE"


async def test_an_answer_can_be_garbage_or_nameless(
    http: aiohttp.ClientSession, order: Order
) -> None:
    """A 200 can hold no JSON, or a token without a name."""
    await order("faults/mint", [{"garbage": True, "count": 1}, {"emptyName": True, "count": 1}])
    async with http.post("/v1beta/auth_tokens", headers=RIGHT) as answer:
        assert answer.status == 200
        with pytest.raises(json.JSONDecodeError):
            await answer.json()
    async with http.post("/v1beta/auth_tokens", headers=RIGHT) as answer:
        assert await answer.json() == {"name": ""}


async def test_a_connection_can_be_cut_without_an_answer(
    http: aiohttp.ClientSession, order: Order, look: Look
) -> None:
    """A disconnect leaves the caller with a broken connection, and mints nothing."""
    await order("faults/mint", {"disconnect": True, "count": 1})
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post("/v1beta/auth_tokens", headers=RIGHT)
    assert (await look("counters"))["tokensMinted"] == 0


async def test_a_hanging_request_does_not_hinder_the_end(
    http: aiohttp.ClientSession, order: Order, look: Look, emulator: EmulatorServer
) -> None:
    """A request that hangs gets no answer; stopping the emulator cuts it off."""
    await order("faults/mint", {"hang": True})
    hanging = asyncio.create_task(http.post("/v1beta/auth_tokens", headers=RIGHT))
    while not (await look("counters"))["faultsMet"]:
        pass
    async with asyncio.timeout(5):
        await emulator.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await hanging


async def test_a_slow_mint_succeeds_when_its_time_has_come(
    http: aiohttp.ClientSession, order: Order, look: Look
) -> None:
    """A latency alone delays by the emulator's clock, and then a token is minted."""
    await order("faults/mint", {"latencyMs": 3_600_000})
    slow = asyncio.create_task(http.post("/v1beta/auth_tokens", headers=RIGHT))
    while not (await look("counters"))["faultsMet"]:
        pass
    await order("clock", {"advanceSeconds": 3600})
    async with await slow as answer:
        assert (await answer.json())["name"].startswith("auth_tokens/")


async def test_faults_can_be_seen_and_cleared(http: aiohttp.ClientSession, order: Order) -> None:
    """What is ordered is shown, and gone after a DELETE of one target or of all."""
    await order("faults/mint", {"status": 500, "count": 3})
    await order("faults/live", {"closeCode": 1011, "closeReason": "x"})
    async with http.get("/emulator/v1/faults") as answer:
        assert (await answer.json())["mint"] == [{"status": 500, "count": 3, "latencyMs": 0}]
    async with http.delete("/emulator/v1/faults/mint") as answer:
        left = await answer.json()
    assert (left["mint"], len(left["live"])) == ([], 1)
    async with http.delete("/emulator/v1/faults") as answer:
        assert await answer.json() == {"mint": [], "models": [], "live": []}


async def test_a_wrong_order_is_told(http: aiohttp.ClientSession) -> None:
    """An unknown name in an order is 400 and quoted; an unknown target is 404."""
    async with http.post("/emulator/v1/faults/mint", json={"stattus": 1}) as answer:
        assert answer.status == 400
        assert '"stattus"' in (await answer.json())["error"]["message"]
    async with http.post("/emulator/v1/faults/moon", json={}) as answer:
        assert answer.status == 404
    async with http.post("/emulator/v1/clock", json={"advanceSeconds": 1e300}) as answer:
        assert answer.status == 400


async def test_a_live_connection_is_refused_as_ordered(
    mint: Mint, connect: Connect, order: Order
) -> None:
    """The ordered close code and reason reach the client, and its token is not spent."""
    token = await mint(SETUP)
    await order("faults/live", {"closeCode": 1011, "closeReason": "é" * 100, "count": 1})
    socket = await connect(token)
    frame = await socket.receive()
    assert (socket.close_code, frame.extra) == (1011, "é" * 61)  # 123 bytes is all that fits
    assert (await (await connect(token)).receive()).type is aiohttp.WSMsgType.BINARY


async def test_the_handshake_can_fail(mint: Mint, connect: Connect, order: Order) -> None:
    """A connection can be refused before it is a WebSocket."""
    token = await mint(SETUP)
    await order("faults/live", {"handshakeStatus": 503})
    with pytest.raises(aiohttp.WSServerHandshakeError) as failed:
        await connect(token)
    assert failed.value.status == 503


async def test_a_live_connection_drops_as_ordered(
    mint: Mint, connect: Connect, order: Order
) -> None:
    """After the ordered number of messages the connection is cut without a close frame."""
    await order("faults/live", {"dropAfterMessages": 2})
    socket = await connect(await mint(SETUP))
    await socket.receive()
    await socket.send_json(HELLO)
    while (frame := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
        pass
    assert socket.close_code == 1006, frame


async def test_a_live_connection_falls_silent_as_ordered(
    mint: Mint, connect: Connect, order: Order, look: Look
) -> None:
    """After the ordered number of messages nothing is answered, while the connection stays."""
    await order("faults/live", {"silentAfterMessages": 1})
    socket = await connect(await mint(SETUP))
    await socket.receive()
    await socket.send_json(HELLO)
    while (await look("sessions"))["sessions"][0]["turns"] == 0:
        pass
    await socket.ping()
    with pytest.raises(TimeoutError):
        await socket.receive(timeout=0.01)


async def test_issued_tokens_can_be_seen(mint: Mint, look: Look) -> None:
    """A token is shown with its lock, its uses and its expiries."""
    token = await mint(SETUP, uses=3, fieldMask="model,generation_config.seed")
    (shown,) = (await look("tokens"))["tokens"]
    assert shown["name"] == token
    assert shown["setup"] == SETUP
    assert shown["fieldMask"] == ["model", "generationConfig.seed"]
    assert (shown["uses"], shown["used"], shown["usesLeft"]) == (3, 0, 3)
    assert shown["created"] < shown["newSessionExpireTime"] < shown["expireTime"]


async def test_mint_headers_can_be_seen_but_no_key(http: aiohttp.ClientSession, look: Look) -> None:
    """The headers of a mint request are kept, in lower case, without what is secret in them."""
    headers = {**RIGHT, "X-Goog-Api-Client": "sdk/1", "traceparent": "00-1-2-01"}
    async with http.post("/v1beta/auth_tokens", headers=headers):
        pass
    (seen,) = (await look("mints"))["mints"]
    assert seen["headers"]["x-goog-api-client"] == "sdk/1"
    assert seen["headers"]["traceparent"] == "00-1-2-01"
    assert "emulator-key" not in json.dumps(seen)


async def test_the_clock_moves_and_returns(order: Order, look: Look) -> None:
    """The clock is advanced by steps and can be set right."""
    await order("clock", {"advanceSeconds": 60})
    await order("clock", {"advanceSeconds": 0.5})
    assert (await look("clock"))["offsetSeconds"] == 60.5
    await order("clock", {"reset": True})
    assert (await look("clock"))["offsetSeconds"] == 0


async def test_reset_forgets_everything(
    http: aiohttp.ClientSession, mint: Mint, connect: Connect, order: Order, look: Look
) -> None:
    """After a reset the emulator is as after its start."""
    token = await mint(SETUP)
    await (await connect(token)).receive()
    await order("faults/models", {"status": 500})
    await order("clock", {"advanceSeconds": 60})
    async with http.post("/emulator/v1/reset") as answer:
        assert answer.status == 200
    assert (await look("tokens"))["tokens"] == []
    assert (await look("mints"))["mints"] == []
    assert (await look("sessions"))["sessions"] == []
    assert set((await look("counters")).values()) == {0}
    assert (await look("clock"))["offsetSeconds"] == 0
    async with http.get("/v1beta/models", headers=RIGHT) as answer:
        assert answer.status == 200


async def test_nothing_secret_is_logged(
    http: aiohttp.ClientSession, mint: Mint, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even the most talkative log holds a token or a key."""
    caplog.set_level("DEBUG")
    token = await mint(SETUP)
    for _ in range(2):
        await (await connect(token)).receive()
    async with http.post("/v1beta/auth_tokens?key=wrong-key"):
        pass
    assert caplog.records
    assert token.removeprefix("auth_tokens/") not in caplog.text
    assert "emulator-key" not in caplog.text
    assert "wrong-key" not in caplog.text
