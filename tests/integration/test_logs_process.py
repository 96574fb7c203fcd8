"""Logs of real processes: what goes to standard error, whatever that is."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from raw_http import MINT, connect, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_PATIENCE = 60.0


@asynccontextmanager
async def gateway(
    tmp_path: Path, **variables: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run a gateway before nothing; yield it, and its port, once it serves."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_TOKENSERVICE_TARGET": f"unix:{tmp_path}/none.sock",
        "LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"),
        env=os.environ | own | variables,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 16,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await answers(port):
                assert process.returncode is None
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answers(port: int) -> bool:
    """Return whether somebody listens."""
    try:
        async with connect(port):
            return True
    except OSError:
        await asyncio.sleep(0.05)
        return False


async def stopped(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """Stop a process; return all that it has logged, each line parsed."""
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors
    return [json.loads(line) for line in errors.splitlines()]


async def test_a_reader_that_stops_stops_nobody(tmp_path: Path) -> None:
    """With a full pipe for standard error, requests are answered, and the stop is clean."""
    async with gateway(tmp_path) as (process, port):
        reading = process.stderr
        assert reading is not None
        transport: Any = reading._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        sent = 4_000
        async with asyncio.timeout(_PATIENCE), connect(port) as connection:
            for _ in range(sent):
                connection.send(request(method="GET", path="/none"))
                answer = await connection.answer()
                assert answer is not None
                assert answer.status == 404
        transport.resume_reading()
        lines = await stopped(process)
    told = sum(line["event"] == "request" for line in lines)
    lost = sum(line["dropped"] for line in lines if line["event"] == "log lines lost")
    assert lost > 0
    assert told + lost == sent


def ended(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )


def test_an_area_that_there_is_not_stops_the_start() -> None:
    """One line names it, and those that there are."""
    done = ended("-m", "policy", LIVE_API_DEBUG="policy, \x1b[31mhtpp")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(r"policy: LIVE_API_DEBUG: no area '\x1b[31mhtpp'; there are http, rpc, ")
    assert line.endswith(", and * for all")


@pytest.mark.parametrize("areas, heard", [("http", {"forwarded", "request"}), ("policy", set())])
async def test_an_area_is_debugged_alone(tmp_path: Path, areas: str, heard: set[str]) -> None:
    """All of it is said, whatever the level, and of the rest no more than the level has."""
    variables = {"LIVE_API_DEBUG": areas, "LOG_LEVEL": "error"}
    async with gateway(tmp_path, **variables) as (process, port):
        async with connect(port) as connection:
            connection.send(
                request("Authorization: Bearer canary", method="GET", path=f"{MINT}/usage")
            )
            assert await connection.answer() is not None
        lines = await stopped(process)
    events = {line["event"] for line in lines}
    assert heard <= events
    assert bool(heard) == bool(events)
    assert "stopped" not in events  # of another area
    assert {line["area"] for line in lines if line["level"] == "debug"} <= {areas}
    assert "canary" not in str(lines)


async def test_what_telemetry_warns_of_has_the_same_form(tmp_path: Path) -> None:
    """Libraries' warnings at the start, and while a collector is away, are lines like all."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[1]
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody}",
        "OTEL_RESOURCE_ATTRIBUTES": "no-pair",
        "OTEL_EXPORTER_OTLP_HEADERS": "no-pair-either",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    async with gateway(tmp_path, **variables) as (process, port):
        async with connect(port) as connection:
            connection.send(request(method="GET", path=f"{MINT}/usage"))
            assert await connection.answer() is not None
        lines = await stopped(process)
    warned = [line["said"] for line in lines if line["event"] == "telemetry"]
    assert any("no-pair" in said and "no-pair-either" not in said for said in warned)
    assert not [line for line in lines if line.get("logger", "").startswith("opentelemetry")]


UNCAUGHT = """
    import threading, warnings
    from serving import logs
    from serving.logs import LogFormat, LogLevel
    logs.configure("policy", LogLevel.INFO, LogFormat.JSON, ["the-secret-of-this-process"])
    logs.catch_all()
    class Broken:
        def __del__(self):
            raise ValueError("finalizer\\nof the-secret-of-this-process")
    def fail():
        raise ValueError("thread\\nof auth_tokens/canary")
    warnings.simplefilter("always")
    warnings.warn("first\\nsecond")
    thread = threading.Thread(target=fail, name="worker")
    thread.start(); thread.join()
    del_me = Broken(); del del_me
    raise ValueError("main\\nof Bearer canarycanary")
"""


def test_what_nobody_catches_is_a_line_too() -> None:
    """Warnings, and defects in threads, in finalizers and in main: each is one line, redacted."""
    done = ended("-W", "always", "-c", textwrap.dedent(UNCAUGHT))
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line.get("thread")) for line in lines] == [
        ("warning", None),
        ("error", "worker"),
        ("error", None),
        ("critical", None),
    ]
    assert "first\nsecond" in lines[0]["event"]
    told = [line["exception"][0]["exc_value"] for line in lines[1:]]
    assert [each.partition("\n")[0] for each in told] == ["thread", "finalizer", "main"]
    assert "canary" not in done.stderr
    assert "the-secret" not in done.stderr


SAY = """
    import structlog
    from serving import logs
    logs.configure("policy")
    structlog.get_logger("policy").warning("said", code="\\x1b[2J", trace_id="0" * 32)
"""


@pytest.mark.parametrize(
    "variables, colours",
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_gets_colours_unless_it_wants_none(
    variables: dict[str, str], *, colours: bool
) -> None:
    """No colours with NO_COLOR, and no escape but those of colours."""
    primary, secondary = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "LOG_FORMAT"}}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAY)],
        env=environment | {"TERM": "xterm"} | variables,
        stderr=secondary,
        check=True,
        timeout=_PATIENCE,
    )
    os.close(secondary)
    shown = os.read(primary, 65_536).decode()
    os.close(primary)
    assert ("\x1b[33m" in shown) == colours
    assert ("\x1b" in shown) == colours
    assert r"\x1b[2J" in shown
    assert "00000000…" in shown
