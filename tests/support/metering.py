"""What the code under test measures: one provider for the process, read as differences."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from opentelemetry import metrics as metrics_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import NumberDataPoint
from opentelemetry.sdk.resources import Resource

from serving import metrics
from serving.instruments import Gauge, Observed
from serving.scraping import PrometheusReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.metrics.export import DataPointT

    from serving.instruments import Instrument

    Labels = frozenset[tuple[str, str]]
    Numbers = dict[Labels, float]

READER = PrometheusReader()
"""Reads all that this process measures; also what a test may have scraped."""

# A process can have one provider, so it is never closed.
metrics_api.set_meter_provider(
    MeterProvider([READER], Resource({"service.name": "test"}), shutdown_on_exit=False)
)


def series() -> dict[str, Numbers]:
    """Return each metric's series and their values; of a histogram, their counts."""
    return _series(_number)


def _series(value: Callable[[DataPointT], float]) -> dict[str, Numbers]:
    data = READER.read()
    return {
        metric.name: {_labels(point): value(point) for point in metric.data.data_points}
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


class Measured:
    """What was measured since it was made. Labels are given as in the table of metrics."""

    def __init__(self) -> None:
        self._before = series()
        self._sums_before = _series(_sum)

    def more(self, instrument: Instrument, **labels: str | None) -> float:
        """Return by how much the series with these labels grew; of a histogram, how often."""
        return sum(self.grown(instrument, **labels).values())

    def grown(self, instrument: Instrument, **labels: str | None) -> Numbers:
        """Return the series with these labels that grew, and by how much."""
        before = self._before.get(instrument.name, {})
        return {
            key: value - before.get(key, 0)
            for key, value in _found(instrument, labels).items()
            if value != before.get(key, 0)
        }

    def has(self, instrument: Instrument) -> bool:
        """Return whether it was measured at all: what comes and goes, perhaps before."""
        if isinstance(instrument, Gauge | Observed):
            return bool(series().get(instrument.name))
        return bool(self.grown(instrument))

    def total(self, instrument: Instrument, **labels: str | None) -> float:
        """Return by how much the sum of what a histogram measured grew."""
        after, before = (
            sum(_found(instrument, labels, sums).values())
            for sums in (_series(_sum), self._sums_before)
        )
        return after - before

    def now(self, instrument: Instrument, **labels: str | None) -> float | None:
        """Return the value of the one series with these labels; None: there is none."""
        values = list(_found(instrument, labels).values())
        assert len(values) <= 1, values
        return values[0] if values else None


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure the block, with bounds that nobody else has used up."""
    untouched: list[Any] = [
        mock.patch.multiple(each, _seen={name: set() for name in each.labels}, _attributes={})
        for each in metrics.ALL
    ]
    for each in untouched:
        each.start()
    try:
        yield Measured()
    finally:
        for each in untouched:
            each.stop()


def _found(
    instrument: Instrument,
    labels: Mapping[str, str | None],
    of: Mapping[str, Numbers] | None = None,
) -> Numbers:
    wanted = {instrument.labels[name].key: value for name, value in labels.items()}
    return {
        key: value
        for key, value in (series() if of is None else of).get(instrument.name, {}).items()
        if all(dict(key).get(name) == value for name, value in wanted.items())
    }


def _labels(point: DataPointT) -> Labels:
    return frozenset((key, str(value)) for key, value in (point.attributes or {}).items())


def _number(point: DataPointT) -> float:
    return point.value if isinstance(point, NumberDataPoint) else point.count


def _sum(point: DataPointT) -> float:
    return point.value if isinstance(point, NumberDataPoint) else point.sum
