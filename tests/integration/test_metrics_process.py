"""Metrics of a real process, by the standard variables alone: scraped, or sent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from layouts import free_ports
from otlp import receiving
from otlp_metrics import receiving_metrics
from policy_server import reserve
from prometheus_client.parser import text_string_to_metric_families as parsed

from policy.v1 import policy_pb2_grpc
from serving import metrics, prometheus_names
from serving.channel import open_channel
from stack import ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_PATIENCE = 60.0
_OF_ANY_PROCESS = (metrics.BUILD, metrics.CPU_TIME, metrics.MEMORY, metrics.LOOP_DELAY)
_OF_POLICY = (
    metrics.DEPENDENCY_UP,
    metrics.RPC_CAPACITY,
    metrics.RPC_ACTIVE,
    metrics.RPC_SERVER_DURATION,
    metrics.DECISIONS,
)
Sample = Any


@asynccontextmanager
async def policy(directory: Path, **variables: str) -> AsyncIterator[str]:
    """Run policy; yield where it is called once it serves."""
    target = f"unix:{directory}/policy.sock"
    process = await start(directory, **variables)
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await ready.serving(target, "policy.v1.PolicyService")():
                assert process.returncode is None
        yield target
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        assert process.returncode == 0, errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def start(directory: Path, **variables: str) -> asyncio.subprocess.Process:
    """Start policy."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    own = {"POLICY_LISTEN": f"unix:{directory}/policy.sock", "LOG_FORMAT": "json"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policy"),
        env=inherited | own | variables,
        stderr=asyncio.subprocess.PIPE,
    )


def scraped_at(port: int) -> dict[str, str]:
    """Return the variables of a process that is scraped there."""
    return {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": f"{port}"}


async def scrape(port: int, host: str = "127.0.0.1") -> dict[str, list[Sample]]:
    """Return the samples that are scraped, by name."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(f"http://{host}:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        text = await answer.text()
    found: dict[str, list[Sample]] = {}
    read: Any = parsed
    for family in read(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


async def until_scraped(port: int, *instruments: Any) -> dict[str, list[Sample]]:
    """Scrape until all of these are there, and return what is scraped then."""
    names = {name for each in instruments for name in prometheus_names.series_of(each)}
    async with asyncio.timeout(_PATIENCE):
        while names - (found := await scrape(port)).keys():  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.05)
    return found


async def decide(target: str, request: str) -> None:
    """Have something decided."""
    async with open_channel(target) as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        await stub.Reserve(reserve(request), timeout=30)


def total(found: Mapping[str, list[Sample]], name: str) -> float:
    """Return the sum of a metric's samples."""
    return float(sum(sample.value for sample in found.get(name, [])))


async def test_a_process_is_scraped(tmp_path: Path) -> None:
    """What it measures of itself, its calls and what it depends on is there, with a target."""
    (port,) = free_ports(1)
    async with policy(tmp_path, **scraped_at(port)) as target:
        await decide(target, "a")
        found = await until_scraped(port, *_OF_ANY_PROCESS, *_OF_POLICY)
    (build,) = found["live_token_build_info"]
    (resource,) = found["target_info"]
    assert build.labels["service_version"] == resource.labels["service_version"]
    assert resource.labels["service_name"] == "policy"
    assert len(resource.labels["service_instance_id"]) == 36
    assert total(found, "live_token_rpc_capacity") == 512
    assert total(found, "live_token_policy_decisions_total") == 1
    (store,) = found["live_token_dependency_up"]
    assert (store.labels, store.value) == ({"live_token_dependency": "store"}, 1)


async def test_counters_begin_anew_with_a_process(tmp_path: Path) -> None:
    """A restart is another instance, whose counters are its own: what `rate` expects."""
    (port,) = free_ports(1)
    instances, counts = [], []
    for requests in (("a", "b"), ("c",)):
        async with policy(tmp_path, **scraped_at(port)) as target:
            for request in requests:
                await decide(target, request)
            found = await scrape(port)
        instances.append(found["target_info"][0].labels["service_instance_id"])
        counts.append(total(found, "live_token_policy_decisions_total"))
    assert counts == [2, 1]
    assert len(set(instances)) == 2


async def test_by_default_only_this_machine_may_scrape(tmp_path: Path) -> None:
    """Unless another host is named, it listens on `localhost`."""
    (port,) = free_ports(1)
    async with policy(tmp_path, **scraped_at(port)):
        assert await scrape(port, "127.0.0.1")
        for address in ("127.0.0.2", "127.1.2.3"):
            with pytest.raises(aiohttp.ClientConnectorError):
                await scrape(port, address)
    named = {"OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.2"}
    async with policy(tmp_path, **scraped_at(port), **named):
        assert await scrape(port, "127.0.0.2")
        with pytest.raises(aiohttp.ClientConnectorError):
            await scrape(port, "127.0.0.1")


async def test_the_port_is_closed_with_the_process(tmp_path: Path) -> None:
    """Nothing is left that listens, so that the next one can."""
    (port,) = free_ports(1)
    async with policy(tmp_path, **scraped_at(port)):
        await scrape(port)
    socket.create_server(("127.0.0.1", port)).close()


async def test_a_busy_port_stops_the_start(tmp_path: Path) -> None:
    """With exit code 2, and one line that names the variables."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(tmp_path, **scraped_at(port))
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode() == (
        "policy: OTEL_EXPORTER_PROMETHEUS_HOST, OTEL_EXPORTER_PROMETHEUS_PORT:"
        f" localhost:{port} is in use\n"
    )


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("own", ["", "METRICS_"])
async def test_a_process_sends_its_metrics(tmp_path: Path, protocol: str, own: str) -> None:
    """To where the standard variables say, those of all signals or those of metrics alone."""
    async with receiving_metrics(protocol) as (endpoint, receiver):
        path = "/v1/metrics" if own and protocol != "grpc" else ""
        variables = {
            f"OTEL_EXPORTER_OTLP_{own}ENDPOINT": endpoint + path,
            f"OTEL_EXPORTER_OTLP_{own}PROTOCOL": protocol,
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
            "OTEL_SERVICE_NAME": "policy-2",
        }
        wanted = {each.name for each in (*_OF_ANY_PROCESS, *_OF_POLICY)}
        async with policy(tmp_path, **variables) as target:
            await decide(target, "a")
            await receiver.until(lambda sent: wanted <= sent.get("policy-2", {}).keys())
        sent = receiver.by_service["policy-2"]
        assert set(receiver.by_service) == {"policy-2"}
        (decision,) = sent[metrics.DECISIONS.name].sum.data_points
        assert {a.key: a.value.string_value for a in decision.attributes} == {
            "live_token.decision": "reserved",
            "live_token.tier": "default",
            "live_token.degraded": "false",
        }
        assert sent[metrics.DECISIONS.name].sum.is_monotonic
        calls = sent[metrics.RPC_SERVER_DURATION.name]
        assert calls.unit == "s"
        assert list(calls.histogram.data_points[0].explicit_bounds) == list(
            metrics.RPC_SERVER_DURATION.bounds
        )
        assert receiver.resources["policy-2"]["service.version"]


async def test_what_was_measured_last_is_sent_at_the_end(tmp_path: Path) -> None:
    """A process that stops sends once more, however long its interval is."""
    async with receiving_metrics("grpc") as (endpoint, receiver):
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        }
        async with policy(tmp_path, **variables) as target:
            await decide(target, "a")
        await receiver.until(lambda sent: metrics.DECISIONS.name in sent.get("policy", {}))


async def test_what_was_traced_last_is_sent_at_the_end(tmp_path: Path) -> None:
    """So are the spans that wait, however long the pauses between exports are."""
    async with receiving() as (endpoint, receiver):
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        }
        async with policy(tmp_path, **variables) as target:
            await decide(target, "a")
        names = {span.name for _, span in receiver.spans}
    assert "policy.v1.PolicyService/Reserve" in names


async def test_it_may_be_scraped_and_send(tmp_path: Path) -> None:
    """Both at once, with the same numbers."""
    (port,) = free_ports(1)
    async with receiving_metrics("http/protobuf") as (endpoint, receiver):
        variables = scraped_at(port) | {
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        async with policy(tmp_path, **variables) as target:
            await decide(target, "a")
            await receiver.until(lambda sent: metrics.DECISIONS.name in sent.get("policy", {}))
            found = await scrape(port)
    assert total(found, "live_token_policy_decisions_total") == 1
    (sent,) = receiver.by_service["policy"][metrics.DECISIONS.name].sum.data_points
    assert sent.as_double + sent.as_int == 1


async def test_nothing_is_measured_unless_asked_for(tmp_path: Path) -> None:
    """Without an exporter there is no port."""
    (port,) = free_ports(1)
    async with policy(tmp_path, OTEL_EXPORTER_PROMETHEUS_PORT=f"{port}"):
        with pytest.raises(aiohttp.ClientConnectorError):
            await scrape(port)
