"""What a request costs the gateway, and what it costs Envoy: `python bench/gateway.py`.

CPU time, user and system, of the process alone: the gateway as it is, the gateway
without a line of log for each request, and Envoy with its `grpc_json_transcoder` on
the same descriptors. All stand before the same TokenService, which only answers, in a
process of its own, and get the same requests at the same pace over the same number of
kept connections. They are measured in turns in one run, and a ratio is of one round:
ratios hold on any machine, the microseconds are this one's. Envoy does less: no
traces, no limits, no log, none of the contract's checks. Takes 40 seconds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2

from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parents[1]))  # before bench/, which has a `gateway` too
from echo_api import compile_descriptors
from envoy_process import Listening, envoy, loopback, pipe, transcoding_config
from servers_process import HOST, free_port, spawn
from servers_waiting import until

from stack import ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROUNDS, _SECONDS, _PER_SECOND, _CONNECTIONS = 5, 0.64, 250, 8
_SERVICE = "tokenservice.v1.TokenService"
_SOON = timestamp_pb2.Timestamp(seconds=1_767_225_600)
_REFUSED = "gemini-refused"


def _request(method: str, path: str, body: str = "") -> bytes:
    lines = [
        f"{method} /api/v1/live-token{path} HTTP/1.1",
        "Host: localhost",
        "Authorization: Bearer " + "x" * 400,  # as long as a token with some claims
        "Accept: application/json",
        "User-Agent: bench",
        f"Content-Length: {len(body)}",
    ]
    if body:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", body]).encode()


_JOBS = {
    "GET usage": (200, _request("GET", "/usage")),
    "POST mint": (
        200,
        _request("POST", "", '{"model":"gemini","responseModality":"AUDIO","duration":10}'),
    ),
    "POST refused": (429, _request("POST", "", f'{{"model":"{_REFUSED}"}}')),
}


async def main() -> None:
    """Measure, and print a line for each job and side."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with AsyncExitStack() as stack:
            sides = await _start(stack, Path(directory))
            costs: dict[tuple[str, str], list[float]] = {}
            for number in range(_ROUNDS + 1):
                for job in _JOBS:
                    for side, (port, pid) in sides.items():
                        cost = await _round(job, port, pid)
                        if number:  # the first warms up
                            costs.setdefault((job, side), []).append(cost)
    print(f"µs of CPU per request, {_PER_SECOND} a second over {_CONNECTIONS} connections")
    print(f"{'':34}{'min':>8}{'median':>8}{'max':>8}   times Envoy's")
    for (job, side), values in costs.items():
        ratios = [ours / envoys for ours, envoys in zip(values, costs[job, "Envoy"], strict=True)]
        print(f"{job:14}{side:20}{_spread(values, '8.0f')}   {_spread(ratios, '6.1f')}")


def _spread(values: list[float], layout: str) -> str:
    shown = (min(values), statistics.median(values), max(values))
    return "".join(format(value, layout) for value in shown)


async def _start(stack: AsyncExitStack, place: Path) -> dict[str, tuple[int, int]]:
    """Start all processes; return port and process id of each side."""
    image = compile_descriptors(place)
    socket = place / "tokenservice.sock"
    await stack.enter_async_context(_process([__file__, str(socket)], {}, socket))
    sides: dict[str, tuple[int, int]] = {}
    for name, level in (("gateway", "info"), ("gateway, no log", "warning")):
        port = free_port()
        settings = {
            "GATEWAY_PORT": str(port),
            "GATEWAY_TOKENSERVICE_TARGET": f"unix:{socket}",
            "LOG_LEVEL": level,
        }
        pid = await stack.enter_async_context(_process(["-m", "gateway"], settings, port))
        sides[name] = (port, pid)
    port = free_port()
    config = transcoding_config(image, [_SERVICE], pipe(socket), [Listening(loopback(port), {})])
    sides["Envoy"] = (port, await stack.enter_async_context(envoy(place, config, loopback(port))))
    return sides


@asynccontextmanager
async def _process(
    arguments: list[str], settings: dict[str, str], ready_at: int | Path
) -> AsyncIterator[int]:
    """Run a Python program until it is done with; return its process id when it is ready."""
    log = Path(os.devnull)  # to write it costs, to keep it does not
    variables = [f"{name}={value}" for name, value in settings.items()]
    process = spawn(["env", *variables, sys.executable, *arguments], log)
    if isinstance(ready_at, Path):
        is_ready = _exists(ready_at)
    else:
        is_ready = ready.answering(f"http://{HOST}:{ready_at}/api/v1/live-token/health")
    try:
        await until(is_ready, 30, f"{arguments} is ready")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _exists(path: Path) -> Any:
    async def exists() -> bool:
        return path.exists()  # noqa: ASYNC240 - nothing else happens here

    return exists


async def _round(job: str, port: int, pid: int) -> float:
    """Return the microseconds of CPU that a request costs the process, in one round."""
    status, request = _JOBS[job]
    connections = [await asyncio.open_connection(HOST, port) for _ in range(_CONNECTIONS)]
    total = round(_SECONDS * _PER_SECOND) // _CONNECTIONS * _CONNECTIONS
    cpu, started = _cpu_seconds(pid), time.monotonic()

    async def work(which: int) -> None:
        reader, writer = connections[which]
        for number in range(which, total, _CONNECTIONS):
            delay = started + number / _PER_SECOND - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            writer.write(request)
            assert await _answer(reader) == status

    await asyncio.gather(*(work(which) for which in range(_CONNECTIONS)))
    cpu = _cpu_seconds(pid) - cpu
    for _, writer in connections:
        writer.close()
    return cpu / total * 1e6


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        await reader.readuntil(b"0\r\n\r\n")
    else:
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    return int(head.split()[1])


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process; what clock_getcpuclockid(3) means, to the ns."""
    return time.clock_gettime((~pid << 3) | 2)


class _TokenService(tokenservice_pb2_grpc.TokenServiceServicer):
    """Answers at once, and always the same."""

    async def CreateToken(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.model == _REFUSED:
            context.set_trailing_metadata((("grpc-status-details-bin", _refusal()),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many tokens.")
        return pb.CreateTokenResponse(
            token="auth_tokens/" + "x" * 64,
            expire_time=_SOON,
            new_session_expire_time=_SOON,
            constraints=pb.TokenConstraints(
                model=request.model, max_duration_minutes=10, response_modality="AUDIO"
            ),
            usage=_usage(),
            decision_id="d-1",
            api_version="v1beta",
        )

    async def GetUsage(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.GetUsageResponse(data=_usage())

    async def GetConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.GetConfigResponse()

    async def GetStats(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.GetStatsResponse()

    async def GetHealth(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.GetHealthResponse(data=pb.Health(status="SERVING"))


def _usage() -> pb.Usage:
    return pb.Usage(
        active_tokens=1,
        tokens_last_hour=1,
        tokens_last_day=2,
        limits=pb.UsageLimits(tokens_per_hour=10, tokens_per_day=100),
        by_limit=[
            pb.LimitUse(limit="tokens_per_hour", value=10, used=1),
            pb.LimitUse(limit="tokens_per_day", value=100, used=2),
            pb.LimitUse(limit="cooldown", value=300, used=1, next_allowed_time=_SOON),
        ],
    )


def _refusal() -> bytes:
    status = status_pb2.Status(code=8, message="Too many tokens.")
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="live-token")
    )
    wait = duration_pb2.Duration(seconds=60)
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=wait))
    serialized: bytes = status.SerializeToString()
    return serialized


async def _serve(path: str) -> None:
    server = grpc.aio.server()
    tokenservice_pb2_grpc.add_TokenServiceServicer_to_server(_TokenService(), server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]) if len(sys.argv) > 1 else main())
