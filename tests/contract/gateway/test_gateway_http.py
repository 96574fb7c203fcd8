"""HTTP itself: malformed requests, clients that leave, slow clients, drain, ports."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import http_server
from serving.process import StartError

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"


async def exchange(port: int, request: bytes) -> tuple[bytes, Any]:
    """Send raw bytes; return the head of the answer and its JSON, once the peer hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.lower(), json.loads(body)


def post(*headers: str, body: str = "") -> bytes:
    """Return a raw mint request."""
    lines = [f"POST {MINT} HTTP/1.1", "Host: x", "Authorization: Bearer good", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"MINT / HTTP/1.1\r\nHost: x\r\n\r\n",
        post("Content-Length: 2", "Transfer-Encoding: chunked", body="{}"),
        post("Content-Length: 2", "Content-Length: 3", body="{}"),
        post("Content-Length: -1"),
        post("Transfer-Encoding: chunked", body="zz\r\n"),
    ],
    ids=range(6),
)
async def test_malformed_http_is_refused_in_json(gateway: Any, request_: bytes) -> None:
    """What is no HTTP is 400, in the one body of all refusals."""
    head, body = await exchange(gateway.port, request_)
    assert head.startswith(b"http/1.1 400")
    assert b"content-type: application/json" in head
    assert b"cache-control: no-store" in head
    assert (body["success"], body["code"]) == (False, "INVALID_ARGUMENT")
    assert gateway.service.requests == []


async def test_a_declared_size_is_refused_before_it_comes(gateway: Any) -> None:
    """A Content-Length that is too large is 413 at once; nothing of the body is awaited."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(post("Content-Type: application/json", "Content-Length: 10000000000"))
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")  # the words vary by Python
    writer.close()
    await writer.wait_closed()


async def test_a_slow_body_is_408(launch: Any) -> None:
    """A body that does not come is given up, and so is the connection."""
    async with launch(body_timeout_ms=20) as gateway:
        request = post("Content-Type: application/json", "Content-Length: 9", body="{")
        head, body = await exchange(gateway.port, request)
        assert head.startswith(b"http/1.1 408")
        assert body["code"] == "REQUEST_TIMEOUT"


async def test_a_client_that_leaves_cancels_the_rpc(gateway: Any) -> None:
    """Nobody waits for an answer that nobody will read."""
    gateway.service.held = asyncio.Event()
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(post("Content-Length: 0"))
    await gateway.service.entered.wait()
    writer.close()
    await writer.wait_closed()
    await gateway.service.cancelled.wait()


async def test_a_client_that_leaves_amid_its_body_is_let_go(gateway: Any) -> None:
    """A request that was never sent in full makes no RPC, and harms no other."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(post("Content-Type: application/json", "Content-Length: 9", body="{"))
    writer.close()
    await writer.wait_closed()
    assert (await gateway.browser.ask("POST", MINT)).status == 200
    assert len(gateway.service.requests) == 1


async def test_stopping_lets_requests_end(launch: Any) -> None:
    """A request that is under way when the gateway is told to stop is answered."""
    async with launch() as gateway:
        gateway.service.held = asyncio.Event()
        asking = asyncio.create_task(gateway.browser.ask("POST", MINT))
        await gateway.service.entered.wait()
        gateway.stop.set()
        gateway.service.held.set()
        assert (await asking).status == 200
        await gateway.server


async def test_a_port_in_use_says_so() -> None:
    """A busy port is one line that names the address and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port} is in use.*GATEWAY_PORT"):
            http_server.listen("127.0.0.1", port)


async def start(tmp_path: Path, **environment: str) -> asyncio.subprocess.Process:
    """Start the gateway as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env={
            **os.environ,
            "GATEWAY_TOKENSERVICE_TARGET": f"unix:{tmp_path}/t.sock",
            "LOG_FORMAT": "json",
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )


async def test_sigterm_is_a_clean_end(tmp_path: Path) -> None:
    """A gateway that is told to stop exits 0."""
    process = await start(tmp_path, GATEWAY_PORT="0")
    assert process.stderr is not None
    async for line in process.stderr:
        if json.loads(line)["event"] == "serving":
            break
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors


async def test_a_process_with_a_busy_port_ends(tmp_path: Path) -> None:
    """A gateway that cannot listen exits 1 and prints one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(tmp_path, GATEWAY_PORT=str(port))
        _, errors = await process.communicate()
    assert process.returncode == 1
    (line,) = errors.decode().splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "GATEWAY_PORT" in line
