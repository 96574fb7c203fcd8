"""The `OTEL_*` variables that we read, or that the SDK reads for us, checked at the start.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROTOCOLS: Final = ("grpc", "http/protobuf")
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_BATCH: Final = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_HEADERS: Final = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
)
"""What the SDK reads itself: pairs by commas, whose values are credentials."""
_NUMBERS: Final = (
    "OTEL_BSP_SCHEDULE_DELAY",
    _QUEUE,
    _BATCH,
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
)
"""What the SDK reads itself: numbers above zero."""
_SECONDS: Final = (
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
)
"""What the SDK for Python reads as seconds, where the specification has milliseconds."""
_MAX_SECONDS: Final = 60
_MAX_PORT: Final = 65_535
_MAX_DIGITS: Final = 9  # eleven days of milliseconds; of more, threads that wait for it die
_ENDPOINTS: Final = (
    _ENDPOINT,
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that is exported, and the variables of it alone."""

    exporter: str
    exporters: tuple[str, ...]
    endpoint: str
    protocol: str


TRACES: Final = Signal(
    "OTEL_TRACES_EXPORTER",
    ("otlp", "none"),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)
METRICS: Final = Signal(
    "OTEL_METRICS_EXPORTER",
    ("otlp", "prometheus", "none"),
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
)


class TelemetryError(Exception):
    """An `OTEL_*` variable that cannot be read; the message names it."""


def secrets(environment: Mapping[str, str]) -> list[str]:
    """Return what collectors are shown, as it is written and as it is sent."""
    pairs = [pair for name in _HEADERS for pair in environment.get(name, "").split(",")]
    values = [value.strip() for _, _, value in (pair.partition("=") for pair in pairs)]
    shown = {each for value in values for each in (value, unquote(value)) if each}
    return [*shown, *(each.rpartition(" ")[2] for each in shown if " " in each)]


class Variables:
    """Reads variables; one that is empty is not set, as the specification has it.

    Raises TelemetryError, as all of its properties do, for one that cannot be read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.disabled = self._word("OTEL_SDK_DISABLED", ("true", "false"), "false") == "true"
        for name in _NUMBERS:
            self._number(name)
        for name in _SECONDS:
            if (self._number(name) or 1) > _MAX_SECONDS:
                raise TelemetryError(f"{name}: must be seconds here, 1 to {_MAX_SECONDS}")
        for name in _ENDPOINTS:
            self._check_endpoint(name)
        batch, queue = self._number(_BATCH) or 512, self._number(_QUEUE) or 2048  # the SDK's own
        if batch > queue:
            raise TelemetryError(f"{_QUEUE}: must not be below {_BATCH}, which is {batch}")

    def get(self, name: str) -> str:
        """Return a variable's value; empty if it is not set."""
        return self._environment.get(name, "").strip()

    def service_name(self, default: str) -> str:
        """Return what the process is called in telemetry."""
        return self.get("OTEL_SERVICE_NAME") or default

    def otlp(self, signal: Signal) -> str | None:
        """Return by which protocol a signal is exported; None: it is not."""
        exporters = self._exporters(signal)
        protocol = next(
            (self._word(n, _PROTOCOLS, "") for n in (signal.protocol, _PROTOCOL) if self.get(n)),
            "http/protobuf",  # the specification's default
        )
        name = next((n for n in (signal.endpoint, _ENDPOINT) if self.get(n)), "")
        if not name or "otlp" not in exporters:
            return None
        if protocol != "grpc" and not self.get(name).startswith(("http://", "https://")):
            raise TelemetryError(f"{name}: must begin with http:// or https://")
        return protocol

    @property
    def scraped(self) -> bool:
        """Whether Prometheus asks for the metrics."""
        return "prometheus" in self._exporters(METRICS)

    @property
    def scrape_address(self) -> tuple[str, int]:
        """Where it asks."""
        port = self._number("OTEL_EXPORTER_PROMETHEUS_PORT") or 9464
        if port > _MAX_PORT:
            raise TelemetryError("OTEL_EXPORTER_PROMETHEUS_PORT: must be a port")
        return self.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost", port

    @property
    def sampler(self) -> str:
        """The name of the sampler."""
        return self._word("OTEL_TRACES_SAMPLER", _SAMPLERS, "parentbased_always_on")

    @property
    def ratio(self) -> float:
        """The sampler's ratio, 0 to 1."""
        text = self.get("OTEL_TRACES_SAMPLER_ARG") or "1"
        try:
            ratio = float(text)
        except ValueError:
            ratio = -1
        if not 0 <= ratio <= 1:
            raise TelemetryError("OTEL_TRACES_SAMPLER_ARG: must be a ratio, 0 to 1")
        return ratio

    def _exporters(self, signal: Signal) -> list[str]:
        words = [word.strip() for word in (self.get(signal.exporter) or "otlp").split(",")]
        if not set(words) <= set(signal.exporters) or ("none" in words and len(words) > 1):
            raise TelemetryError(f"{signal.exporter}: must be of {', '.join(signal.exporters)}")
        return words

    def _word(self, name: str, known: tuple[str, ...], default: str) -> str:
        word = self.get(name).lower() or default
        if word not in known:
            raise TelemetryError(f"{name}: must be {' or '.join(known)}")
        return word

    def _check_endpoint(self, name: str) -> None:
        try:
            parts = urlsplit(self.get(name))
            port = parts.port if parts.netloc else None
        except ValueError:
            raise TelemetryError(f"{name}: must be a URL") from None  # which may hold a password
        if port == 0 or (parts.scheme in {"http", "https"} and not parts.hostname):
            raise TelemetryError(f"{name}: must name a host")

    def _number(self, name: str) -> int | None:
        text = self.get(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text)):
            raise TelemetryError(f"{name}: must be a whole number, 1 to {'9' * _MAX_DIGITS}")
        return int(text)
