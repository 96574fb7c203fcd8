"""The gateway as a process, while one address does all it can to hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from raw_http import MINT, RawConnection, connect, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEGABYTE = 2**20
ATTACKER, OTHER = ("127.0.0.2", 0), ("127.0.0.3", 0)
LIMITS = {
    "GATEWAY_HEAD_TIMEOUT_MS": "500",
    "GATEWAY_BODY_TIMEOUT_MS": "500",
    "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "50",
}


@dataclass(frozen=True)
class Edge:
    """A gateway process without a service behind it."""

    process: asyncio.subprocess.Process
    port: int

    @property
    def resident(self) -> int:
        """How many bytes of memory it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    async def answers(self) -> bool:
        """Return whether somebody at another address is answered."""
        async with connect(self.port, local_addr=OTHER) as connection:
            connection.send(request(method="GET", path="/none"))
            answer = await connection.answer()
            return answer is not None and answer.status == 404


@pytest_asyncio.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Run the gateway, with limits that are soon met."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    named = {"GATEWAY_PORT": str(port), "GATEWAY_TOKENSERVICE_TARGET": f"unix:{tmp_path}/s"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway"),
        env=os.environ | LIMITS | named | {"LOG_FORMAT": "json", "LOG_LEVEL": "info"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    assert json.loads(await process.stderr.readline())["event"] == "serving"
    draining = asyncio.create_task(process.stderr.read())
    yield Edge(process, port)
    process.send_signal(signal.SIGTERM)
    await draining
    assert await process.wait() == 0


async def end(connection: RawConnection) -> int | None:
    """Return the status that a connection ends with, None if it ends without."""
    answer = await connection.answer()
    await connection.closed()
    return None if answer is None else answer.status


async def test_slow_connections_end_and_keep_nobody_out(edge: Edge) -> None:
    """Heads and bodies that do not come hold their own address's share, and only for a while."""
    slow = [
        b"POST / HT",
        request("Content-Length: 9", "Content-Type: application/json", body=b"{"),
        b"GET / HTTP/1.1\r\nHost: x\r\n",
    ]
    async with AsyncExitStack() as stack:
        connections = []
        for number in range(120):
            opened: Any = connect(edge.port, local_addr=ATTACKER)
            connection = await stack.enter_async_context(opened)
            connection.send(slow[number % len(slow)])
            connections.append(connection)
        assert await edge.answers()
        statuses = [await end(connection) for connection in connections]
    assert statuses.count(408) >= 50
    assert set(statuses) <= {408, 503, None}
    assert await edge.answers()


async def test_an_endless_body_takes_no_memory(edge: Edge) -> None:
    """However much is sent, what is kept of it is what may be."""
    before = edge.resident
    chunk = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
    for _ in range(20):
        async with connect(edge.port, local_addr=ATTACKER) as connection:
            connection.send(
                request("Transfer-Encoding: chunked", "Content-Type: application/json", path=MINT)
            )
            with contextlib.suppress(ConnectionError):
                for _ in range(1_024):
                    connection.send(chunk)
                    await connection.writer.drain()
                    if connection.reader.at_eof():
                        break
                else:
                    raise AssertionError("a gigabyte was taken")
    assert edge.resident - before < 16 * MEGABYTE
    assert await edge.answers()


async def test_endless_heads_take_no_memory(edge: Edge) -> None:
    """Nor is anything kept of heads, trailers and pipelines without end."""
    before = edge.resident
    endless = (
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: " + b"y" * 60_000),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n" * 10_000),
        (b"GET /", b"x" * 60_000),
        (request("Transfer-Encoding: chunked", body=b"0\r\n"), b"X: y\r\n" * 10_000),
        (b"", request(method="GET", path="/none") * 2_000),
    )
    for begun, more in endless * 4:
        async with connect(edge.port, local_addr=ATTACKER) as connection:
            connection.send(begun)
            with contextlib.suppress(ConnectionError):
                while not connection.reader.at_eof():
                    connection.send(more)
                    await connection.writer.drain()
    assert edge.resident - before < 16 * MEGABYTE
    assert await edge.answers()
