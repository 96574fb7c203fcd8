"""What the gateway writes, as a process, while a peer sends it the worst there is."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from raw_http import MINT, connect, exchange, request

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "canary-7f3a9b"
PLACES = (b"X-Request-Id", b"User-Agent", b"Idempotency-Key", b"traceparent", b"X-A")
POISON = [
    "\r\n",
    "\n",
    "\x1b[2J\x1b[31m",
    "\u2028",
    "\u2029",
    "\x85",
    '"}\n{"event":"forged"',
    "\\u000a",
    "%0d%0a",
    "\x00",
    "\x7f",
    "\u202e",
    "\ud7ff",
    "{}%s%n${jndi:ldap://x}",
]


def poisoned() -> list[bytes]:
    """Return requests with each poison in each place where there is text of the caller's."""
    requests = []
    for poison in POISON:
        raw = poison.encode("utf-8", "replace")
        requests += [
            request(b"Authorization: Bearer x", place + b": a" + raw + b"b") for place in PLACES
        ]
        requests.append(request(b"Authorization: Bearer " + SECRET.encode() + raw))
        requests.append(f"GET /{poison} HTTP/1.1\r\nHost: x\r\n\r\n".encode("utf-8", "replace"))
        requests.append(f"{poison} / HTTP/1.1\r\nHost: x\r\n\r\n".encode("utf-8", "replace"))
        body = json.dumps({"model": poison, poison: 1}).encode()
        head = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
        requests.append(request(*head, body=body))
    noise = random.Random(7)  # noqa: S311 - the same every time
    requests += [noise.randbytes(noise.randrange(1, 400)) + b"\r\n\r\n" for _ in range(100)]
    for name in ("access_token", "key", "token", "api_key", "x"):
        requests.append(request(path=f"{MINT}?{name}={SECRET}"))
        requests.append(request(method="GET", path=f"{MINT}/usage?{name}={SECRET}"))
        requests.append(request(method="GET", path=f"/none/{SECRET}?{name}={SECRET}"))
    return requests


async def test_every_line_is_one_event_and_no_secret(tmp_path: Path) -> None:
    """Each line on standard error is one JSON object that we wrote, and quotes no credential."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway"),
        env=os.environ
        | {
            "GATEWAY_PORT": str(port),
            "GATEWAY_TOKENSERVICE_TARGET": f"unix:{tmp_path}/none.sock",
            "GATEWAY_HEAD_TIMEOUT_MS": "200",
            "GATEWAY_BODY_TIMEOUT_MS": "200",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    first = await process.stderr.readline()
    assert json.loads(first)["event"] == "serving"
    reading = asyncio.create_task(process.stderr.read())
    statuses: dict[str, int] = {}
    for data in poisoned():
        answer = await exchange(port, data)
        if answer is not None:
            assert answer.status in {400, 404, 405, 408, 431, 503}, (data, answer)
            assert SECRET not in str(answer)
            statuses[answer.headers["x-request-id"]] = answer.status
    async with connect(port) as connection:  # and it is well
        connection.send(request(method="GET", path=f"{MINT}/health"))
        assert await connection.answer() is not None
    process.send_signal(signal.SIGTERM)
    output = await reading
    assert await process.wait() == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in output.split(b"\n") if line]
    assert SECRET.encode() not in output
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in output)
    assert all(line["service"] == "gateway" for line in lines)
    assert {line["event"] for line in lines} <= {
        "request",
        "rpc failed",
        "not a request",
        "stopped",
    }
    told = {
        line["request_id"]: line["status"]
        for line in lines
        if line["event"] in {"request", "not a request"}
    }
    assert statuses.items() <= told.items()
