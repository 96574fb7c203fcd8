"""What a peer can do to a gRPC server by HTTP/2 alone: policy as a process, frames by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from raw_http2 import (
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    Frame,
    Http2,
    Kind,
    connect_http2,
    headers,
    reset,
)

from policy.v1 import policy_pb2, policy_pb2_grpc
from serving import server
from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/policy.v1.PolicyService/GetUsage"
CALL = headers(PATH)
HEALTH = headers("/grpc.health.v1.Health/Watch")
MEGABYTE = 2**20
STREAMS = dict(server._OPTIONS)["grpc.max_concurrent_streams"]


@dataclass(frozen=True)
class Victim:
    """A policy process that listens on a port of this machine."""

    process: asyncio.subprocess.Process
    port: int

    @property
    def resident(self) -> int:
        """How many bytes of memory it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    async def answers(self) -> bool:
        """Return whether somebody else is served, in health and in a call."""
        async with open_channel(f"127.0.0.1:{self.port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            return await self._outcome(channel) is grpc.StatusCode.INVALID_ARGUMENT

    async def calm(self) -> None:
        """Wait until what is left of a flood is done with, and no call is turned away for it."""
        async with open_channel(f"127.0.0.1:{self.port}") as channel:
            served = 0
            while served < 50:
                cancelled = await self._outcome(channel) is grpc.StatusCode.CANCELLED
                served = 0 if cancelled else served + 1

    async def _outcome(self, channel: grpc.aio.Channel) -> grpc.StatusCode:
        """Return how a call ends that reaches policy and asks nothing of it."""
        stub = policy_pb2_grpc.PolicyServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetUsage(policy_pb2.GetUsageRequest(), wait_for_ready=True)
        return refused.value.code()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def victim() -> AsyncIterator[Victim]:
    """Run policy for all tests of this module."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POLICY_", "GEMINI_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "policy"),
        env=environment | {"POLICY_LISTEN": f"127.0.0.1:{port}", "LOG_LEVEL": "error"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    running = Victim(process, port)
    assert await running.answers()
    try:
        yield running
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def flood(victim: Victim, *frames: Frame, times: int) -> None:
    """Send the same frames again and again, on as many connections as the server needs."""
    burst = 100
    sent = 0
    while sent < times:
        async with connect_http2(victim.port) as connection:
            listening = asyncio.create_task(drain(connection))
            while sent < times and await connection.send(*frames * burst):
                sent += burst
            listening.cancel()


async def drain(connection: Http2) -> None:
    """Read what comes and forget it."""
    async for _ in connection.frames():
        pass


async def reset_rapidly(victim: Victim, connections: int) -> int:
    """Begin a thousand calls on each connection, and take each back at once."""
    begun = 0
    for _ in range(connections):
        async with connect_http2(victim.port) as connection:
            listening = asyncio.create_task(drain(connection))
            for stream in range(1, 2_000, 2):
                call = Frame(Kind.HEADERS, END_HEADERS, stream, CALL)
                if not await connection.send(call, reset(stream)):
                    break
                begun += 1
            listening.cancel()
    return begun


async def test_rapid_resets_harm_nobody_else(victim: Victim) -> None:
    """Calls that are begun and taken back by the thousand: no call of another fails for it."""
    for _ in range(5):
        assert await reset_rapidly(victim, connections=3) > 100
        assert await victim.answers()


async def test_rapid_resets_take_so_much_memory(victim: Victim) -> None:
    """However many calls are begun and taken back, what is kept of them has a bound."""
    before = victim.resident
    assert await reset_rapidly(victim, connections=30) > 1_000
    resident = victim.resident
    await victim.calm()
    assert resident - before < 128 * MEGABYTE


async def test_a_connection_has_so_many_streams(victim: Victim) -> None:
    """Calls beyond the bound are refused, while those within it go on."""
    async with connect_http2(victim.port) as connection:
        calls = [
            Frame(Kind.HEADERS, END_HEADERS, stream, HEALTH)
            for stream in range(1, 2 * (STREAMS + 50), 2)
        ]
        await connection.send(*calls)
        async for frame in connection.frames():
            if frame.kind == Kind.RST_STREAM:
                assert frame.stream > 2 * STREAMS
                break
        else:
            pytest.fail("nothing was refused")
        assert await victim.answers()


async def test_endless_continuations(victim: Victim) -> None:
    """Headers that do not end are not kept: the connection goes, and others stay."""
    before = victim.resident
    async with connect_http2(victim.port) as connection:
        await connection.send(Frame(Kind.HEADERS, 0, 1, CALL))
        more = headers(PATH, *((f"x-{n}", "y" * 1_000) for n in range(10)))[2:]
        more = more[more.index(b"\x00") :]
        for _ in range(10_000):
            if not await connection.send(Frame(Kind.CONTINUATION, 0, 1, more)):
                break
    assert await victim.answers()
    assert victim.resident - before < 48 * MEGABYTE


async def test_a_ping_flood_is_told_to_calm_down(victim: Victim) -> None:
    """More pings than a channel of ours would send end the connection."""
    async with connect_http2(victim.port) as connection:
        await connection.send(*[Frame(Kind.PING, payload=bytes(8))] * 100)
        codes = [
            int.from_bytes(frame.payload[4:8], "big")
            async for frame in connection.frames()
            if frame.kind == Kind.GOAWAY
        ]
    assert ENHANCE_YOUR_CALM in codes
    assert await victim.answers()


async def test_a_settings_flood(victim: Victim) -> None:
    """Settings that are changed all the time harm nobody else, and pile up nowhere."""
    before = victim.resident
    await flood(victim, Frame(Kind.SETTINGS, payload=b"\x00\x04\x00\x00\xff\xff"), times=20_000)
    assert await victim.answers()
    assert victim.resident - before < 48 * MEGABYTE


async def test_large_metadata_and_messages_are_refused(victim: Victim) -> None:
    """What is larger than any request of ours is refused; the connection goes on."""
    async with open_channel(f"127.0.0.1:{victim.port}") as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PATH)
        for metadata, message in (((("x-y", "z" * 20_000),), b""), ((), b"x" * 300_000)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(message, metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await victim.answers()


async def test_nonsense(victim: Victim) -> None:
    """What is no HTTP/2 is hung up on."""
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 10_000, b"\xff" * 10_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", victim.port)
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.transport.abort()
    assert await victim.answers()


async def test_no_end_of_a_stream(victim: Victim) -> None:
    """A call of which only the beginning comes waits alone."""
    async with connect_http2(victim.port) as connection:
        await connection.send(
            *(Frame(Kind.HEADERS, END_HEADERS, stream, CALL) for stream in range(1, 600, 2)),
            Frame(Kind.DATA, END_STREAM, 1, bytes(5)),
        )
        async for frame in connection.frames():
            if frame.stream == 1 and frame.flags & END_STREAM:
                break  # it was served, though 299 others wait for their messages
        else:
            pytest.fail("it was not served")
        assert await victim.answers()
