"""What grpc's core has to say: nothing that a peer may choose becomes a line of the log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from servers_process import HOST, free_port
from servers_waiting import until

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 60.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _PING, _GOAWAY = 4, 6, 7
_ACKNOWLEDGED = 1
_ENHANCE_YOUR_CALM = 11
_FORGED = '{"level": "info", "service": "policy", "event": "decision", "outcome": "forged"}'


def frame(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return a frame of HTTP/2, of the connection."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + bytes(4) + payload


async def test_a_stranger_forges_no_line(tmp_path: Path) -> None:
    """Whoever can connect, and says farewell with lines of a log, is not quoted in it."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policy"),
        env={name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
        | {"POLICY_LISTEN": f"{HOST}:{port}", "LOG_FORMAT": "json"},
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )

    async def answers() -> bool:
        assert process.returncode is None
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True

    try:
        await until(answers, _PATIENCE, "policy listens")
        reader, writer = await asyncio.open_connection(HOST, port)
        farewell = bytes(4) + _ENHANCE_YOUR_CALM.to_bytes(4, "big") + f"\n{_FORGED}\n".encode()
        writer.write(_PREFACE + frame(_SETTINGS) + frame(_GOAWAY, farewell))
        writer.write(frame(_PING, b"heard it"))
        async with asyncio.timeout(_PATIENCE):
            await reader.readuntil(frame(_PING, b"heard it", _ACKNOWLEDGED))
        writer.close()
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert "listening" in events
    assert "decision" not in events
