"""Health, time and the start of tracing."""

import os
import time
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from serving import clock, telemetry
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
