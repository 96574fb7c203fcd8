"""Health, time and the start of tracing."""

import os
import threading
import time
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from serving import clock, otel_variables, telemetry
from serving.health import HealthBoard
from serving.otel_variables import Variables


async def status(board: HealthBoard, service: str = "") -> int:
    """Ask what a client is told."""
    request = health_pb2.HealthCheckRequest(service=service)
    no_context: Any = None
    answer = await board.servicer.Check(request, no_context)
    return int(answer.status)


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_service_serves_while_all_it_depends_on_does() -> None:
    """Unknown is not serving, and one dependency that is away is enough."""
    board = HealthBoard(["s"], ["policy", "gemini"])
    await board.open()
    assert await status(board, "s") == await status(board) == NOT_SERVING
    assert await board.report("policy", "SERVING") is True
    assert board.serving is False
    assert await board.report("gemini", "SERVING") is True
    assert await status(board, "s") == await status(board) == SERVING
    assert await board.report("gemini", "UPSTREAM_UNAVAILABLE") is True
    assert await status(board, "s") == NOT_SERVING
    assert board.states == {"policy": "SERVING", "gemini": "UPSTREAM_UNAVAILABLE"}


async def test_only_a_change_is_news() -> None:
    """A report that repeats the last one says nothing new."""
    board = HealthBoard(["s"], ["policy"])
    assert await board.report("policy", "UNKNOWN") is False
    assert await board.report("policy", "SERVING") is True
    assert await board.report("policy", "SERVING") is False


async def test_who_depends_on_nothing_serves() -> None:
    """Without dependencies a service serves from the start."""
    board = HealthBoard(["s"])
    await board.open()
    assert await status(board, "s") == SERVING


async def test_a_drained_service_stays_so() -> None:
    """Once draining, no report makes it serve again."""
    board = HealthBoard(["s"], ["policy"])
    await board.report("policy", "SERVING")
    await board.drain()
    await board.report("policy", "UNKNOWN")
    await board.report("policy", "SERVING")
    assert await status(board, "s") == NOT_SERVING


def test_the_clock_follows_the_monotonic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the system's time, either way, does not move the clock."""
    wall, monotonic = 1_767_225_600 * 10**9, 5 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: wall)
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic)
    now = clock.steady_clock()
    assert now() == 1_767_225_600_000
    wall -= 3600 * 10**9
    assert now() == 1_767_225_600_000
    monotonic += 1_500_000
    assert now() == 1_767_225_600_001


@pytest.fixture
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_telemetry")
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ],
)
def test_nothing_is_exported_unless_an_endpoint_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Without an endpoint, or switched off, there is no exporter and nothing to flush."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert telemetry._span_exporter(Variables(os.environ)) is None
    telemetry.configure("policy")()


@pytest.mark.usefixtures("_no_telemetry")
@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]
)
def test_a_protocol_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A protocol that we cannot speak stops the start with its variable's name."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, "http/json")
    with pytest.raises(telemetry.TelemetryError, match=f"^{name}: "):
        telemetry.configure("policy")


@pytest.mark.usefixtures("_no_telemetry")
@pytest.mark.parametrize("value", ["10000", "61", "0", "-1", "1.5", "soon"])
@pytest.mark.parametrize("signal", ["", "_TRACES", "_METRICS"])
def test_a_patience_that_is_meant_in_milliseconds_is_named(
    monkeypatch: pytest.MonkeyPatch, signal: str, value: str
) -> None:
    """The specification's 10000 would be three hours to the SDK: that stops the start."""
    name = f"OTEL_EXPORTER_OTLP{signal}_TIMEOUT"
    monkeypatch.setenv(name, value)
    with pytest.raises(telemetry.TelemetryError, match=f"^{name}: must be "):
        telemetry.configure("policy")


HTTP, GRPC = (
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
)
WELL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.usefixtures("_no_telemetry")
@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_SCHEDULE_DELAY": "9" * 10},  # which ends the thread that waits for it
        {"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 30},
        {"OTEL_METRIC_EXPORT_INTERVAL": "9" * 5000},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1", **GRPC},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://:4317", **GRPC},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:port", **GRPC},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318", **HTTP},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "collector", **HTTP},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https:/collector/v1/metrics"},
        {"OTEL_TRACES_SAMPLER": "sometimes", **WELL},
        {"OTEL_EXPORTER_PROMETHEUS_HOST": "a..b", "OTEL_METRICS_EXPORTER": "prometheus"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_what_cannot_be_read_is_named_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """A value that no exporter or thread could use stops the start, and leaves no thread."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = set(threading.enumerate())
    with pytest.raises(telemetry.TelemetryError, match=f"^{next(iter(variables))}[:,]") as told:
        telemetry.configure("policy")
    assert len(str(told.value)) < 200
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("_no_telemetry")
def test_an_endpoint_for_grpc_may_be_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes it without a scheme, too."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert Variables(os.environ).otlp(otel_variables.TRACES) == "grpc"


@pytest.mark.usefixtures("_no_telemetry")
def test_what_only_the_sdk_reads_stops_the_start_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of which it makes an error is told in one line, not by a traceback."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "folding")
    for name, value in {**WELL, **GRPC}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(telemetry.TelemetryError, match=r"^OTEL_\*: .*folding"):
        telemetry.configure("policy")


def test_spans_and_metrics_are_flushed_at_once() -> None:
    """A stop has two seconds for both: neither waits until the other is through."""
    both = threading.Barrier(2, timeout=30)
    met: list[int] = []
    telemetry._at_once([lambda: met.append(both.wait())] * 2)
    assert sorted(met) == [0, 1]
