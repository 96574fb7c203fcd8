"""The commands of docs/metrics.md, as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING

import aiohttp
from layouts import free_ports
from observability import ROOT
from servers_waiting import until

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 60.0
_START = re.compile(
    r"^\$ (OTEL_METRICS_EXPORTER=.*) (gateway|tokenservice|policy) &$", re.MULTILINE
)
_LOOK = re.compile(r"^\$ curl -sS http://127\.0\.0\.1:(\d+)/metrics \| grep (\S+)$", re.MULTILINE)


async def test_what_is_looked_for_is_there(tmp_path: Path) -> None:
    """The process of the example shows the metric of the example, before anybody asks anything."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    (start,), (look,) = _START.findall(text), _LOOK.findall(text)
    variables = dict(word.split("=", 1) for word in start[0].split())
    assert variables["OTEL_EXPORTER_PROMETHEUS_PORT"] == look[0]
    scraped, served = free_ports(2)
    own = {"OTEL_EXPORTER_PROMETHEUS_PORT": str(scraped), "GATEWAY_PORT": str(served)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", start[1]),
        env=os.environ | variables | own,
        cwd=tmp_path,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession(trust_env=False) as http:

            async def seen() -> bool:
                assert process.returncode is None
                async with http.get(f"http://127.0.0.1:{scraped}/metrics") as answer:
                    lines = (await answer.text()).splitlines()
                return any(look[1] in line for line in lines)

            await until(seen, _PATIENCE, f"{start[1]} shows {look[1]}")
    finally:
        process.kill()
        await process.wait()
