"""A running emulator, and clients of it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from emulator.options import Options
from emulator.server import EmulatorServer

KEY = "emulator-key"
METHOD = "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContentConstrained"

Mint = Callable[..., Awaitable[str]]
Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]
Look = Callable[[str], Awaitable[Any]]
Order = Callable[..., Awaitable[None]]


@pytest.fixture
async def emulator() -> AsyncIterator[EmulatorServer]:
    """Run an emulator on two free ports."""
    async with EmulatorServer(Options(port=0, tls_port=0)) as server:
        yield server


@pytest.fixture
async def http(emulator: EmulatorServer) -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client without credentials."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(emulator.base_url, timeout=timeout) as session:
        yield session


@pytest.fixture
def mint(http: aiohttp.ClientSession) -> Mint:
    """Return a function that mints a token that is locked to a setup."""

    async def mint(setup: dict[str, Any] | None = None, **body: Any) -> str:
        if setup is not None:
            body["bidiGenerateContentSetup"] = setup
        headers = {"x-goog-api-key": KEY}
        async with http.post("/v1beta/auth_tokens", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            token: str = (await answer.json())["name"]
            return token

    return mint


@pytest.fixture
async def connect(http: aiohttp.ClientSession) -> AsyncIterator[Connect]:
    """Return a function that connects with a token and sends a setup."""
    async with AsyncExitStack() as stack:

        async def connect(
            token: str, setup: dict[str, Any] | None = None
        ) -> aiohttp.ClientWebSocketResponse:
            url = f"/ws/{METHOD}?access_token={token}"
            socket = await stack.enter_async_context(http.ws_connect(url))
            await socket.send_str(json.dumps({"setup": setup or {}}))
            return socket

        yield connect


@pytest.fixture
def look(http: aiohttp.ClientSession) -> Look:
    """Return a function that reads from the control API."""

    async def look(what: str) -> Any:
        async with http.get(f"/emulator/v1/{what}") as answer:
            assert answer.status == 200
            return await answer.json()

    return look


@pytest.fixture
def order(http: aiohttp.ClientSession) -> Order:
    """Return a function that posts to the control API."""

    async def order(what: str, body: Any) -> None:
        async with http.post(f"/emulator/v1/{what}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    return order
