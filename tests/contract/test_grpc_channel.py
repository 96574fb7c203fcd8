"""Channels between services."""

import asyncio
from typing import Any

import grpc
import pytest

from serving.channel import open_channel


@pytest.mark.parametrize("variable", ["http_proxy", "grpc_proxy", "https_proxy"])
async def test_no_call_goes_through_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """What is plaintext because it stays on the machine does not leave it by a variable."""
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        writer.close()

    proxy = await asyncio.start_server(listen, "127.0.0.1", 0)
    gone = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with proxy, open_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/x.Y/Z")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert seen == []
