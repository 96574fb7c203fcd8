"""What telemetry costs a token: `python bench/tracing.py`.

CPU time, user and system, of gateway, tokenservice and policy together for each
token that they issue, each for a user of its own: with the SDK disabled, with
traces at 1 % and at 100 %, exported over OTLP to a receiver in a process of its
own, and with metrics, exported there once a minute. Four whole stacks stand
side by side and are measured in turns; a ratio is of one round. Ratios hold on any
machine, the microseconds are this one's. Takes about a minute.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parents[1]))  # before bench/, which has a `gateway` too
from layouts import free_ports, laid_out
from servers_process import HOST, spawn
from servers_waiting import until

from stack import ready
from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.supervisor import Stack

_ROUNDS, _TOKENS, _PER_SECOND, _CONNECTIONS = 8, 160, 100, 4
_OURS = ("gateway", "tokenservice", "policy")
_OFF = "off"
_RATIO = "parentbased_traceidratio"
_SIDES: dict[str, dict[str, str]] = {
    _OFF: {"OTEL_SDK_DISABLED": "true"},
    "traces, 1 %": {"OTEL_TRACES_SAMPLER": _RATIO, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "traces, 100 %": {},
    "metrics": {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp"},
}


async def main() -> None:
    """Measure, and print a line for each side."""
    costs: dict[str, list[float]] = {side: [] for side in _SIDES}
    async with AsyncExitStack() as stack:
        with _quiet(), ExitStack() as places:
            collector = stack.enter_context(_collector())
            await until(ready.answering(f"{collector}/health"), 30, "the receiver is ready")
            stacks = {
                side: await stack.enter_async_context(
                    running(places.enter_context(laid_out(**_environment(collector) | variables)))
                )
                for side, variables in _SIDES.items()
            }
            for number in range(_ROUNDS + 1):
                for side, each in stacks.items():
                    cost = await _round(each, f"{side} {number}")
                    if number:  # the first warms up
                        costs[side].append(cost)
            await stack.aclose()
    print(f"µs of CPU per token, three processes, {_PER_SECOND} a second")
    print(f"{'':16}{'min':>8}{'median':>8}{'max':>8}   times as much as off")
    for side, values in costs.items():
        ratios = [own / off for own, off in zip(values, costs[_OFF], strict=True)]
        print(f"{side:16}{_spread(values, '8.0f')}   {_spread(ratios, '7.2f')}")


def _environment(collector: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_METRICS_EXPORTER": "none",
        "LOG_FORMAT": "json",
    }


def _spread(values: list[float], layout: str) -> str:
    shown = (min(values), statistics.median(values), max(values))
    return "".join(format(value, layout) for value in shown)


async def _round(stack: Stack, name: str) -> float:
    """Return the microseconds of CPU that a token costs our processes, in one round."""
    layout = stack.layout
    pids = [stack.processes[process].pid for process in _OURS]
    requests = [
        _request(layout.bearer(f"{name} {number}", time.time())) for number in range(_TOKENS)
    ]
    port = layout.gateway.number
    connections = [await asyncio.open_connection(HOST, port) for _ in range(_CONNECTIONS)]
    cpu, started = sum(map(_cpu_seconds, pids)), time.monotonic()

    async def work(which: int) -> None:
        reader, writer = connections[which]
        for number in range(which, _TOKENS, _CONNECTIONS):
            delay = started + number / _PER_SECOND - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            writer.write(requests[number])
            assert await _answer(reader) == 200  # noqa: PLR2004 - a token

    await asyncio.gather(*(work(which) for which in range(_CONNECTIONS)))
    cpu = sum(map(_cpu_seconds, pids)) - cpu
    for _, writer in connections:
        writer.close()
    return cpu / _TOKENS * 1e6


def _request(bearer: str) -> bytes:
    lines = [
        "POST /api/v1/live-token HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {bearer}",
        "User-Agent: bench",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split()[1])


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process; what clock_getcpuclockid(3) means, to the ns."""
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let what the processes log go nowhere: to write it costs, to show it is not ours."""
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    with Path(os.devnull).open("wb") as nowhere:
        for descriptor in kept:
            os.dup2(nowhere.fileno(), descriptor)
    try:
        yield
    finally:
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)


@contextmanager
def _collector() -> Iterator[str]:
    """Run something that takes traces, in a process of its own; yield where."""
    (port,) = free_ports(1)
    process = spawn([sys.executable, __file__, str(port)], Path(os.devnull))
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


async def _collect(port: int) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{path:.*}", take)
    runner: Any = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_collect(int(sys.argv[1])) if len(sys.argv) > 1 else main())
