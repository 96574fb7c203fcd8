"""The SDK says once a minute what it would say each time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from serving import otel_variables
from serving.otel_variables import TelemetryError, Variables
from serving.sdk_logs import spare

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORTER = logging.getLogger("opentelemetry.exporter.test")
CONTEXT = logging.getLogger("opentelemetry.context")


class Seeing(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.seen.append(record)


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Let the SDK speak by a clock of its own."""
    clock = Clock()
    end = spare(clock)
    yield clock
    end()


def _connect() -> None:
    raise ConnectionError("http://user:password-of-collector@collector")


def fail(*words: str) -> None:
    """Fail as an exporter does."""
    try:
        _connect()
    except ConnectionError:
        EXPORTER.exception("Exception while exporting %s", *words)


def test_a_logger_speaks_once_a_minute(clock: Clock) -> None:
    """Of a hundred records one is said; the next tells how many were held back."""
    with capture_logs() as logs:
        for _ in range(100):
            EXPORTER.warning("Transient error %s", 503)
        clock.now = 59.9
        EXPORTER.warning("Transient error %s", 503)
        clock.now = 60.0
        EXPORTER.warning("Transient error %s", 503)
    common: dict[str, Any] = {
        "event": "telemetry",
        "log_level": "warning",
        "said": "Transient error 503",
        "by": "opentelemetry.exporter.test",
    }
    common["cause"] = None
    assert logs == [common | {"held_back": 0}, common | {"held_back": 100}]


@pytest.mark.usefixtures("clock")
def test_it_does_not_speak_as_before_beside_that() -> None:
    """What is held back goes to no other handler."""
    others = Seeing()
    logging.getLogger().addHandler(others)
    try:
        with capture_logs():
            EXPORTER.warning("slow")
    finally:
        logging.getLogger().removeHandler(others)
    assert others.seen == []


def test_levels_and_loggers_speak_apart(clock: Clock) -> None:
    """An error is said though there was a warning, and each logger has its own line."""
    with capture_logs() as logs:
        EXPORTER.warning("slow")
        EXPORTER.error("failed")
        CONTEXT.error("failed")
    assert clock.now == 0
    assert [line["said"] for line in logs] == ["slow", "failed", "failed"]


@pytest.mark.usefixtures("clock")
def test_an_exception_is_said_by_its_kind() -> None:
    """Neither its words nor a traceback go to the log; what is said is bounded."""
    with capture_logs() as logs:
        fail("x" * 10_000)
    (line,) = logs
    assert line["cause"] == "ConnectionError"
    assert len(line["said"]) == 300
    assert "password" not in str(logs)
    assert "exc_info" not in line


def test_what_is_below_the_level_is_not_said(clock: Clock) -> None:
    """It takes nobody's turn either."""
    assert clock.now == 0
    with capture_logs() as logs:
        EXPORTER.debug("exporting")
        EXPORTER.info("exporting")
    assert logs == []


def test_in_the_end_the_sdk_speaks_as_before(caplog: pytest.LogCaptureFixture) -> None:
    """Who stops telemetry leaves no handler behind."""
    spare()()
    EXPORTER.warning("a word")
    assert [record.getMessage() for record in caplog.records] == ["a word"]
    assert logging.getLogger("opentelemetry").handlers == []


def test_what_collectors_are_shown_is_a_secret() -> None:
    """The values of headers, as they are written and as they are sent."""
    environment = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc123,x-tenant=ours",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-key=another",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "",
    }
    shown = ["Bearer%20abc123", "Bearer abc123", "abc123", "ours", "another"]
    assert sorted(otel_variables.secrets(environment)) == sorted(shown)
    assert otel_variables.secrets({}) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4096"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"},
    ],
)
def test_a_batch_that_no_queue_can_hold_is_named(variables: dict[str, str]) -> None:
    """It stops the start with one line, and not with the SDK's traceback."""
    with pytest.raises(TelemetryError, match=r"^OTEL_BSP_MAX_QUEUE_SIZE: must not be below "):
        Variables(variables)
    Variables({"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"})
