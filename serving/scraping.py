"""What Prometheus scrapes: the SDK's metrics as OpenMetrics, with exemplars.

OpenTelemetry's own exporter for it has no exemplars; and they are what leads from
a slow bucket to a trace. prometheus_client does the exposition.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric as Family,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from serving import prometheus_names as names, scrape_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.resources import Resource


_OPENMETRICS = "application/openmetrics-text"
_openmetrics_of: Any = openmetrics.generate_latest  # has no types


class ScrapeError(Exception):
    """An address that cannot be listened on; the message says why."""


class PrometheusReader(MetricReader):
    """Collects when Prometheus asks."""

    def __init__(self) -> None:
        super().__init__()
        self._collected: deque[MetricsData] = deque(maxlen=1)

    def read(self) -> MetricsData | None:
        """Return what is measured now; None while nothing is."""
        self.collect()
        return self._collected.pop() if self._collected else None

    def _receive_metrics(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002 - the SDK's
        **_kwargs: Any,
    ) -> None:
        self._collected.append(metrics_data)

    def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:
        """Do nothing: what serves it is closed by who opened it."""


class _Collector(Collector):
    """What prometheus_client shows: what a reader reads."""

    def __init__(self, reader: PrometheusReader) -> None:
        self._reader = reader

    def describe(self) -> Sequence[Family]:
        """Return nothing: what there is shows when it is collected."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Return what is measured now."""
        data = self._reader.read()
        for resource in data.resource_metrics if data else ():
            yield _target(resource.resource)
            for scope in resource.scope_metrics:
                yield from map(_family, scope.metrics)


def serve(reader: PrometheusReader, host: str, port: int) -> Callable[[], None]:
    """Serve what `reader` collects at `/metrics`, in a thread of its own; return what ends that.

    Raises:
        ScrapeError: The address cannot be listened on.

    """
    registry = CollectorRegistry()
    registry.register(_Collector(reader))
    try:
        listeners = scrape_http.listen(host, port)
    except (OSError, UnicodeError) as error:
        raise ScrapeError(f"{host}:{port} {_why(error)}") from error

    def expose(accepted: str) -> tuple[bytes, str]:
        if _OPENMETRICS in accepted:
            return _openmetrics_of(registry), openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_PLAIN_0_0_4

    return scrape_http.ScrapeServer(listeners, expose).close


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):  # of a label that is empty or too long
        return "is no address"
    return "is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)


def _target(resource: Resource) -> Family:
    labels = {names.label_name(key): str(value) for key, value in resource.attributes.items()}
    return InfoMetricFamily("target", "What is measured here.", labels)


def _family(metric: Metric) -> Family:
    match metric.data:
        case Histogram(data_points=points):
            return _histogram(metric, points)
        case Sum(is_monotonic=True, data_points=numbers):
            return _numbers(CounterMetricFamily, names.COUNTER, metric, numbers)
        case Sum(data_points=numbers) | Gauge(data_points=numbers):
            return _numbers(GaugeMetricFamily, names.GAUGE, metric, numbers)
        case _:
            raise TypeError(f"{metric.name} cannot be shown to Prometheus")


def _histogram(metric: Metric, points: Sequence[HistogramDataPoint]) -> Family:
    keys = _keys(points)
    name, about, labels = _named(metric, names.HISTOGRAM, keys)
    family = HistogramMetricFamily(name, about, labels=labels)
    for point in points:
        family.add_metric(_values(point, keys), _buckets(point), sum_value=point.sum)
    return family


def _numbers(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    kind_name: str,
    metric: Metric,
    points: Sequence[NumberDataPoint],
) -> Family:
    keys = _keys(points)
    name, about, labels = _named(metric, kind_name, keys)
    family = kind(name, about, labels=labels)
    for point in points:
        family.add_metric(_values(point, keys), point.value)
    return family


def _named(metric: Metric, kind: str, keys: Sequence[str]) -> tuple[str, str, list[str]]:
    family = names.family_name(metric.name, metric.unit or "", kind)
    return family, metric.description or "", [names.label_name(key) for key in keys]


def _keys(points: Sequence[HistogramDataPoint] | Sequence[NumberDataPoint]) -> list[str]:
    return sorted({key for point in points for key in point.attributes or {}})


def _values(point: HistogramDataPoint | NumberDataPoint, keys: Sequence[str]) -> list[str]:
    attributes = point.attributes or {}
    return [str(attributes.get(key, "")) for key in keys]


def _buckets(point: HistogramDataPoint) -> list[Any]:
    """Return cumulative counts up to each bound, each with the last exemplar below it."""
    exemplars = _exemplars(point)
    total, buckets = 0, []
    uppers = [*map(_upper, point.explicit_bounds), "+Inf"]
    for upper, count in zip(uppers, point.bucket_counts, strict=True):
        total += count
        buckets.append((upper, total, exemplars.get(upper)))
    return buckets


def _upper(bound: float) -> str:
    return repr(float(bound))


def _exemplars(point: HistogramDataPoint) -> dict[str, Exemplar]:
    found: dict[str, Exemplar] = {}
    for each in sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano):
        if each.trace_id is None or each.span_id is None:
            continue
        upper = next((_upper(b) for b in point.explicit_bounds if each.value <= b), "+Inf")
        ids = {"trace_id": format(each.trace_id, "032x"), "span_id": format(each.span_id, "016x")}
        found[upper] = Exemplar(ids, cast("float", each.value), each.time_unix_nano / 1e9)
    return found
