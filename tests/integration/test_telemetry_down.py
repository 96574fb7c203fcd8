"""A collector that is away, says nothing, or refuses: requests do not notice.

They are as right and as fast, and what is lost of telemetry is counted, in little memory and
few lines.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from client import caller, new_user
from layouts import free_ports

from stack.layout import Layout
from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from client import Caller

    from stack.layout import Program
    from stack.supervisor import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("gateway", "tokenservice", "policy")
REQUESTS = 60
PROCESSED = "otel_sdk_processor_span_processed_total"
CAPACITY = "otel_sdk_processor_span_queue_capacity"
QUEUED = "otel_sdk_processor_span_queue_size"


class Scraped(Layout):
    """A stack each of whose roles has a port to be scraped at."""

    scrape_ports: Mapping[str, int] = {}

    @classmethod
    def like(cls, layout: Layout) -> Scraped:
        """Return the same stack, with such ports."""
        scraped = cls(**{each.name: getattr(layout, each.name) for each in fields(layout)})
        ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
        object.__setattr__(scraped, "scrape_ports", ports)
        return scraped

    @property
    def programs(self) -> list[Program]:
        """The programs of the stack, with their ports."""
        name, ports = "OTEL_EXPORTER_PROMETHEUS_PORT", self.scrape_ports
        return [
            replace(each, environment={**each.environment, name: str(ports.get(each.name, 0) or 1)})
            for each in super().programs
        ]


@asynccontextmanager
async def collector(how: str) -> AsyncIterator[str]:
    """Yield the address of a collector that is away, that hangs, or that is too busy."""
    if how == "away":
        (port,) = free_ports(1)
        yield f"http://127.0.0.1:{port}"
        return
    open_connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        while how == "busy" and (head := await reader.readuntil(b"\r\n\r\n")):
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().splitlines()
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async def forgiving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(forgiving, "127.0.0.1", 0, family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        for writer in open_connections:
            writer.transport.abort()
        server.close()


async def minted(client: Caller) -> float:
    """Mint for one user after the other; return the seconds that it took."""
    await client.call(subject=new_user())
    started = time.monotonic()
    for _ in range(REQUESTS):
        assert (await client.call(subject=new_user())).status == 200
    user = new_user()
    assert (await client.call(subject=user)).status == 200
    assert (await client.call(subject=user)).status == 429
    return time.monotonic() - started


async def scraped(port: int) -> dict[str, float]:
    """Return what a process tells Prometheus of its own telemetry: values by series."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as it:
        lines = (await it.text()).splitlines()
    series = (line.rpartition(" ") for line in lines if line.startswith("otel_sdk_"))
    return {name: float(value) for name, _, value in series}


def total(series: Mapping[str, float], name: str, label: str = "") -> float:
    """Return the sum of the series of a name that have a label."""
    return sum(
        value for each, value in series.items() if each.startswith(f"{name}{{") and label in each
    )


def resident_mib(stack: Stack) -> dict[str, float]:
    """Return the memory that each process takes."""
    pids = {name: process.pid for name, process in stack.processes.items() if name in ROLES}
    pages = {
        name: int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        for name, pid in pids.items()
    }
    return {name: each / 256 for name, each in pages.items()}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def undisturbed(make_layout: Callable[..., Layout]) -> float:
    """Return how long requests take without any telemetry."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        return await minted(client)


@pytest.mark.parametrize(
    "how, protocol",
    [
        ("away", "http/protobuf"),
        ("hanging", "http/protobuf"),
        ("busy", "http/protobuf"),
        ("hanging", "grpc"),
    ],
)
async def test_requests_do_not_notice(
    make_layout: Callable[..., Layout], undisturbed: float, how: str, protocol: str, capfd: Any
) -> None:
    """Each is answered as ever; spans that find no room are dropped, counted, and told once."""
    async with collector(how) as endpoint:
        layout = Scraped.like(
            make_layout(
                OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
                OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                OTEL_BSP_SCHEDULE_DELAY="20",
                OTEL_BSP_MAX_QUEUE_SIZE="32",
                OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
                OTEL_METRICS_EXPORTER="prometheus",
                OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
                LOG_FORMAT="json",
            )
        )
        async with running(layout) as stack, caller(layout) as client:
            took = await minted(client)
            before = resident_mib(stack)
            told = {role: await scraped(layout.scrape_ports[role]) for role in ROLES}
            for _ in range(2):
                await minted(client)
            after = resident_mib(stack)
            stopping = time.monotonic()
            ends = [stack.processes[role] for role in ROLES]
            for role in reversed(ROLES):
                await stack.stop(role)
            stopping = time.monotonic() - stopping
    assert took < 10 * undisturbed
    for role, series in told.items():
        assert total(series, PROCESSED, 'error_type="queue_full"') > 0, (role, series)
        assert total(series, CAPACITY) == 32
        assert total(series, QUEUED) <= 32
        assert after[role] - before[role] < 32
    assert [each.returncode for each in ends] == [0, 0, 0]
    assert stopping < 3 * 8  # and not the time-out of what hangs, for each
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[:1] == "{"]
    said = [(each["service"], each["by"]) for each in lines if each["event"] == "telemetry"]
    assert said
    assert len(said) <= 6 * len(ROLES)
    assert not [each for each in lines if each["level"] == "critical"]
