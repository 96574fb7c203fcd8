"""OpenTelemetry's SDK, from the standard `OTEL_*` variables alone.

Libraries use the API; only this module, called by `serving.process`, touches
the SDK. Unlike the SDK we export nothing unless an endpoint is named, so that a
process without a collector says nothing about one.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.export import SpanExporter

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class TelemetryError(Exception):
    """An `OTEL_*` variable that cannot be read; the message names it."""


def configure(service: str) -> Callable[[], None]:
    """Install the tracer provider and return what flushes and closes it.

    Raises:
        TelemetryError: The variable that cannot be read.

    """
    exporter = _exporter()
    if exporter is None:
        return lambda: None
    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": os.environ.get("OTEL_SERVICE_NAME", service),
                "service.version": _own_version(),
            }
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _exporter() -> SpanExporter | None:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "false").lower() == "true"
    named = any(os.environ.get(name) for name in _ENDPOINTS)
    if disabled or not named or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    name, protocol = next(
        ((name, os.environ[name]) for name in _PROTOCOLS if os.environ.get(name)),
        ("", "http/protobuf"),  # the specification's default
    )
    match protocol:
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter as GrpcExporter,
            )

            return GrpcExporter()
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter as HttpExporter,
            )

            return HttpExporter()
        case _:
            raise TelemetryError(f"{name}: must be grpc or http/protobuf")


def _own_version() -> str:
    try:
        return version("gemini-live-token")
    except PackageNotFoundError:
        return "unknown"
