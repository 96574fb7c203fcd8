"""OpenTelemetry's SDK, from the standard `OTEL_*` variables alone.

Libraries use the API; only this module, called by `serving.process`, touches
the SDK. Unlike the SDK we export nothing unless an endpoint is named, so that a
process without a collector says nothing about one; and a variable that cannot be
read stops the start, where the SDK would go on with a default.

Telemetry that is down, slow or full loses telemetry and nothing else: spans wait
in a bounded queue for a thread that exports them, and the SDK counts what it
drops (`otel.sdk.processor.span.processed`, `otel.sdk.exporter.span.exported`).
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from opentelemetry import metrics as metrics_api, trace
from opentelemetry.sdk.environment_variables import (
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from serving import measuring, sampling, scraping, sdk_logs, tracing
from serving.late_spans import LateSpans
from serving.log_areas import debugging
from serving.otel_variables import METRICS, TRACES, TelemetryError, Variables
from serving.redacting import redact
from serving.version import own_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["Judgement", "TelemetryError", "configure"]

log = structlog.get_logger(__name__)

_GRPC: Final = "grpc"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which requests a process traces, beside what the standard variables say."""

    slow_ms: int = 1000
    """From how many milliseconds on a request is kept, sampled or not."""
    kept_per_second: int = 20
    """How many spans of requests that are not sampled may be kept in a second."""
    heeds_callers: bool = True
    """Whether a caller's decision to sample is followed; if not, it may name a trace,
    and the ratio decides."""


def configure(service: str, judgement: Judgement | None = None) -> Callable[[], None]:
    """Install the providers and return what flushes and closes them.

    Raises:
        TelemetryError: The variable that cannot be read.

    """
    judgement = judgement or Judgement()
    tracing.heed_callers(heeds=judgement.heeds_callers)
    variables = Variables(os.environ)
    if variables.disabled:
        return lambda: None
    sampler = sampling.sampler(variables, heeds_callers=judgement.heeds_callers)
    # What the SDK drops is counted by itself, if asked.
    os.environ.setdefault(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED, "true")
    with ExitStack() as stack:
        stack.callback(sdk_logs.spare())
        flushes: list[Callable[[], None]] = []
        stack.callback(_at_once, flushes)
        resource = Resource.create(
            {
                "service.name": variables.service_name(service),
                "service.version": own_version(),
                "service.instance.id": str(uuid4()),
            }
        )
        if debugging(__name__):
            log.debug(
                "exports",
                traces=variables.otlp(TRACES),
                metrics=variables.otlp(METRICS),
                scraped=variables.scraped,
                sampler=variables.sampler,
                ratio=variables.ratio,
            )
        try:
            flushes += _measure(variables, resource, stack)
            flushes += _trace(variables, sampler, resource, judgement, stack)
        except TelemetryError:
            raise
        except Exception as error:  # of a variable that only the SDK reads
            raise TelemetryError(f"OTEL_*: {redact(str(error))}") from error
        return stack.pop_all().close
    raise AssertionError("the block above returns")


def _trace(
    variables: Variables,
    sampler: Sampler,
    resource: Resource,
    judgement: Judgement,
    stack: ExitStack,
) -> list[Callable[[], None]]:
    """Begin to export spans; return what flushes them."""
    exporter = _span_exporter(variables)
    if exporter is None:
        return []
    processor = BatchSpanProcessor(exporter)
    provider = TracerProvider(
        resource=resource,
        sampler=sampler,
        shutdown_on_exit=False,
        meter_provider=metrics_api.NoOpMeterProvider(),  # two counters for each span cost more
    )
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    tracing.keep_with(
        LateSpans(
            processor, resource, slow_ms=judgement.slow_ms, per_second=judgement.kept_per_second
        )
    )
    stack.callback(tracing.keep_with, None)
    return [provider.shutdown]


def _measure(
    variables: Variables, resource: Resource, stack: ExitStack
) -> list[Callable[[], None]]:
    """Begin to show and export metrics; return what flushes them."""
    readers: list[MetricReader] = []
    if (exporter := _metric_exporter(variables)) is not None:
        readers.append(PeriodicExportingMetricReader(exporter))
    if variables.scraped:
        reader = scraping.PrometheusReader()
        readers.append(reader)
        host, port = variables.scrape_address
        try:
            stack.callback(scraping.serve(reader, host, port))
        except scraping.ScrapeError as error:
            raise TelemetryError(
                f"OTEL_EXPORTER_PROMETHEUS_HOST, OTEL_EXPORTER_PROMETHEUS_PORT: {error}"
            ) from error
    if not readers:
        return []
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    metrics_api.set_meter_provider(provider)
    measuring.process()
    return [provider.shutdown]


def _at_once(flushes: Sequence[Callable[[], None]]) -> None:
    """Flush all at the same time: a stop waits for them together, and one may be slow."""
    threads = [threading.Thread(target=flush, daemon=True) for flush in flushes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _span_exporter(variables: Variables) -> SpanExporter | None:
    protocol = variables.otlp(TRACES)
    if protocol is None:
        return None
    if protocol == _GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter as HttpExporter,
    )

    return HttpExporter()


def _metric_exporter(variables: Variables) -> MetricExporter | None:
    protocol = variables.otlp(METRICS)
    if protocol is None:
        return None
    if protocol == _GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter as GrpcExporter,
        )

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter as HttpExporter,
    )

    return HttpExporter()
