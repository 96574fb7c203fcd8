"""What a decision costs through the sidecar's socket: `python bench/policy_socket.py`.

One policy process over a Unix socket, with the memory store and then with a
real Valkey server; a Reserve and a Commit for each new user, one at a time and
32 at once. Latencies as the caller sees them; CPU of the policy process. All in
one run: the ratios hold on any machine, the microseconds are this one's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from servers import valkey_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_WARM_UP, _ALONE, _AT_ONCE, _TOGETHER = 300, 2_000, 32, 6_400
_numbers = itertools.count()


async def main() -> None:
    """Measure, and print a line for each way."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(valkey_server(Path(directory) / "valkey"))
            stores = {"memory": {}, "Valkey": {"POLICY_STORE_URL": server.url}}
            print(f"{'':24}{'Reserve p50':>12}{'p99':>8}{'Commit p50':>12}{'p99':>8}", end="")
            print(f"{'pairs/s':>9}{'CPU':>8}   (µs; CPU of policy for a pair)")
            for name, settings in stores.items():
                async with _policy(Path(directory), settings) as (stub, pid):
                    await _measure("", stub, pid, _WARM_UP, 1)
                    await _measure(f"{name}, one at a time", stub, pid, _ALONE, 1)
                    await _measure(f"{name}, {_AT_ONCE} at once", stub, pid, _TOGETHER, _AT_ONCE)


async def _measure(name: str, stub: Any, pid: int, pairs: int, at_once: int) -> None:
    reserves: list[float] = []
    commits: list[float] = []

    async def work() -> None:
        for _ in range(pairs // at_once):
            key = pb.ReservationKey(
                subject=f"user {next(_numbers)}", request_id="r", owner=os.urandom(8)
            )
            request = pb.ReserveRequest(key=key, fingerprint=b"print", count=1)
            started = time.perf_counter()
            answer = await stub.Reserve(request, timeout=5)
            reserved = time.perf_counter()
            assert answer.HasField("reservation")
            done = await stub.Commit(_commit(key), timeout=5)
            committed = time.perf_counter()
            assert done.outcome == pb.CommitResponse.OUTCOME_COMMITTED
            reserves.append((reserved - started) * 1e6)
            commits.append((committed - reserved) * 1e6)

    cpu, started = _cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    took, cpu = time.perf_counter() - started, _cpu_seconds(pid) - cpu
    if name:
        cells = [quantile for times in (reserves, commits) for quantile in _quantiles(times)]
        print(f"{name:24}{cells[0]:12.0f}{cells[1]:8.0f}{cells[2]:12.0f}{cells[3]:8.0f}", end="")
        print(f"{len(reserves) / took:9.0f}{cpu / len(reserves) * 1e6:8.0f}")


def _commit(key: pb.ReservationKey) -> pb.CommitRequest:
    now = int(time.time())
    return pb.CommitRequest(
        key=key,
        token_expire_times=[Timestamp(seconds=now + 1800)],
        sealed_result=bytes(200),
        sealed_expire_time=Timestamp(seconds=now + 120),
    )


def _quantiles(times: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _policy(directory: Path, settings: dict[str, str]) -> AsyncIterator[tuple[Any, int]]:
    target = f"unix:{directory}/policy-{next(_numbers)}.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "policy",
        env={
            **os.environ,
            "POLICY_LISTEN": target,
            "POLICY_HASH_KEY": "k" * 32,
            "LOG_LEVEL": "warning",
            **settings,
        },
    )
    try:
        async with open_channel(target) as channel:
            await channel.channel_ready()
            yield policy_pb2_grpc.PolicyServiceStub(channel), process.pid
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
