"""The stack as `make run` starts it, scraped by a real Prometheus with our own rules and alerts.

Time runs faster in that Prometheus than here (time_lapse.py), and less so on a machine that is
slow: as measured by how long the stack takes to start.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from client import caller
from observability import loaded
from observed import Observed
from otlp import receiving
from prometheus_process import Prometheus, prometheus
from servers import valkey_server
from servers_process import HOST, free_port
from servers_proxy import hole
from store_failures import DURABLE, HASH_KEY, USER, url_of
from time_lapse import TimeLapse

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from stack.layout import Layout

ROLES = ("gateway", "tokenservice", "policy")

_SPEED = 60
_SCRAPE_SECONDS = 0.5
_START_SECONDS = 4
"""How long the stack takes to start on a machine that can bear that speed."""
_SLOWEST = 8
_LOOKBACK = "5m"  # Prometheus' default


@asynccontextmanager
async def observed(make_layout: Callable[..., Layout], place: Path) -> AsyncIterator[Observed]:
    """Run all of it, policy on a real store, and begin when all roles are scraped."""
    async with AsyncExitStack() as opened:
        run = opened.enter_async_context
        store = await run(valkey_server(place / "store", config={**DURABLE, "user": USER}))
        receiver, spans = await run(receiving())
        collector = await run(hole((HOST, int(receiver.rpartition(":")[2]))))
        layout = make_layout(
            POLICY_STORE_URL=url_of(store),
            POLICY_HASH_KEY=HASH_KEY,
            GATEWAY_TRUSTED_PROXIES=HOST,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{HOST}:{collector.port}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_TIMEOUT="2",
            OTEL_BSP_SCHEDULE_DELAY="200",
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()),  # and those that follow
        )
        started = time.monotonic()
        stack = await run(running(layout))
        slowness = min(max(1.0, (time.monotonic() - started) / _START_SECONDS), _SLOWEST)
        lapse = TimeLapse(_SPEED / slowness, _SCRAPE_SECONDS * slowness)
        watching = await run(_watching(place, layout, lapse))
        client = await run(caller(layout))
        everything = Observed(stack, client, store, watching, collector, spans, lapse)
        await everything.becomes("sum(up)", len(ROLES))
        await everything.begin()
        await everything.until_silent()
        yield everything


@asynccontextmanager
async def _watching(place: Path, layout: Layout, lapse: TimeLapse) -> AsyncIterator[Prometheus]:
    """Run Prometheus with our configuration, but for the time and the ports of this stack."""
    own = place / "prometheus"
    own.mkdir()
    config = loaded("prometheus.yml")
    every = f"{round(1000 * lapse.scrape_seconds)}ms"
    config["global"] |= dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), every
    )
    for job in config["scrape_configs"]:
        port = layout.scraped[job["job_name"]]
        job["static_configs"] = [{"targets": [f"{HOST}:{port}"]}]
    files = {name: lapse.rules(loaded(name)) for name in config["rule_files"]}
    lookback = lapse.duration(_LOOKBACK)
    async with prometheus(own, config, files, lookback=lookback) as watching:
        yield watching
