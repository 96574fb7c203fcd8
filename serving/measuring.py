"""What is measured of the process itself."""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from serving import metrics
from serving.version import own_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    Readings = Iterable[tuple[float, Mapping[str, str | None]]]

_PROBE_SECONDS = 0.5
_STATM = Path("/proc/self/statm")


def process() -> None:
    """Have the process's own values read when metrics are collected."""
    metrics.BUILD.read_from(_build)
    metrics.CPU_TIME.read_from(_cpu)
    if _STATM.exists():
        metrics.MEMORY.read_from(_memory)


def capacity(calls: int) -> AbstractContextManager[None]:
    """Have it told, for the length of the block, how many RPCs may be at work."""
    return metrics.RPC_CAPACITY.reading(lambda: [(calls, {})])


async def watch_loop() -> None:
    """Measure how late the event loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _PROBE_SECONDS
        await asyncio.sleep(_PROBE_SECONDS)
        metrics.LOOP_DELAY.record(max(0.0, loop.time() - due))


def _build() -> Readings:
    return [(1, {"version": own_version(), "python": platform.python_version()})]


def _cpu() -> Readings:
    times = os.times()
    return [(times.user, {"mode": "user"}), (times.system, {"mode": "system"})]


def _memory() -> Readings:
    resident_pages = int(_STATM.read_text("ascii").split()[1])
    return [(resident_pages * os.sysconf("SC_PAGE_SIZE"), {})]
