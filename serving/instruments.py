"""Instruments whose labels are bounded, whatever is put into them.

A subject, an address, a path or a request id is never a label: a label's values
are listed, or else no more than so many of them are kept apart. What is beyond
counts as `_OTHER`, as the semantic conventions call it.

Nor do labels multiply without end: of sets of their values, too, no more than so
many are kept apart.

Libraries use OpenTelemetry's API; without a provider, nothing here does anything.
"""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.context import Context

OTHER = "_OTHER"
_MAX_CHARS = 100

MOST_SETS = 600
"""Sets of label values that a metric keeps apart in a process. All others count as one, whose
labels all are `_OTHER`. A histogram makes some 10,000 time series of them at Prometheus."""

_meter = metrics.get_meter("live-token")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds of what takes from a millisecond to a deadline."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label: what distinguishes the time series of one metric.

    `values` are all that it may have. Without them, the first `most` values that a
    process meets are kept apart: for names out of the code or the configuration,
    of which there are few, but which no list here could know.
    """

    key: str
    about: str = ""
    values: frozenset[str] | None = None
    most: int = 32

    def __post_init__(self) -> None:
        """Raise ValueError if this is no bound."""
        if not 0 < self.most <= 100:  # noqa: PLR2004 - a hundred series each way are plenty
            raise ValueError(f"{self.key}: a label has 1 to 100 values")

    @property
    def states(self) -> int:
        """In how many ways it can be: of each value, `_OTHER`, or absent."""
        return 2 + (self.most if self.values is None else len(self.values))


def label(key: str, about: str = "", *values: str, most: int = 32) -> Label:
    """Return a label with `values`, or with at most `most` of any."""
    return Label(key, about, frozenset(values) or None, most)


class Instrument:
    """What all instruments have: a name, a unit, what it is about, and labels by name."""

    kind = ""

    def __init__(self, name: str, unit: str, about: str, **labels: Label) -> None:
        """Name labels, where values are given, by keywords."""
        self.name = name
        self.unit = unit
        self.about = about
        self.labels = labels
        self._attributes: dict[tuple[str | None, ...], dict[str, str]] = {}
        self._seen: dict[str, set[str]] = {each: set() for each in labels}
        self._others = {each.key: OTHER for each in labels.values()}
        self._lock = threading.Lock()

    @property
    def most_series(self) -> int:
        """How many time series a process can make of it at Prometheus, whatever happens."""
        return min(math.prod(each.states for each in self.labels.values()), MOST_SETS + 1)

    def _labelled(self, values: Mapping[str, str | None]) -> dict[str, str]:
        """Return the attributes for `values`, by label name. A value of None is left out."""
        key = tuple([values.get(name) for name in self.labels])
        known = self._attributes.get(key)
        if known is not None:
            return known
        if unknown := values.keys() - self.labels.keys():
            raise TypeError(f"{self.name} has no label {', '.join(sorted(unknown))}")
        with self._lock:
            return self._kept(
                tuple(
                    None if value is None else self._bounded(name, value)
                    for name, value in zip(self.labels, key, strict=True)
                )
            )

    def _kept(self, bounded: tuple[str | None, ...]) -> dict[str, str]:
        """Return the attributes of bounded values, kept for the next time if there is room."""
        if (known := self._attributes.get(bounded)) is not None:
            return known
        if len(self._attributes) >= MOST_SETS:
            return self._others
        attributes = {
            label.key: value
            for label, value in zip(self.labels.values(), bounded, strict=True)
            if value is not None
        }
        self._attributes[bounded] = attributes
        return attributes

    def _bounded(self, name: str, value: str) -> str:
        wanted, seen = self.labels[name], self._seen[name]
        if wanted.values is not None:
            return value if value in wanted.values else OTHER
        if value in seen:
            return value
        if len(seen) >= wanted.most or len(value) > _MAX_CHARS:
            return OTHER
        seen.add(value)
        return value


class Counter(Instrument):
    """Counts what only grows.

    The sums are our own, and read when metrics are collected: the SDK's, at each
    call, cost ten times as much, and the only thing that they have more are
    exemplars of counters.
    """

    kind = "counter"

    def __init__(self, name: str, unit: str, about: str, **labels: Label) -> None:
        super().__init__(name, unit, about, **labels)
        self._sums: dict[tuple[tuple[str, str], ...], float] = {}
        self._make()(name, callbacks=[self._read], unit=unit, description=about)

    def _make(self) -> Callable[..., Any]:
        return _meter.create_observable_counter

    def add(self, amount: float = 1, /, **values: str | None) -> None:
        """Count `amount` more.

        0 shows a counter before what it counts has happened: Prometheus sees a change
        from 0 to 1, but none where a series begins with 1.
        """
        key = tuple(self._labelled(values).items())
        with self._lock:
            self._sums[key] = self._sums.get(key, 0) + amount

    def _read(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        with self._lock:
            sums = tuple(self._sums.items())
        return [metrics.Observation(total, dict(key)) for key, total in sums]


class Gauge(Counter):
    """Counts what comes and goes, as a sum over whoever counts: `add` takes less, too."""

    kind = "up-down counter"

    def _make(self) -> Callable[..., Any]:
        return _meter.create_observable_up_down_counter


class Histogram(Instrument):
    """Measures how much, or how long."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        unit: str,
        about: str,
        *,
        bounds: Iterable[float] = SECONDS,
        **labels: Label,
    ) -> None:
        super().__init__(name, unit, about, **labels)
        self.bounds = tuple(bounds)
        self._histogram = _meter.create_histogram(
            name, unit, about, explicit_bucket_boundaries_advisory=self.bounds
        )

    @property
    def most_series(self) -> int:
        """See Instrument: of each set, the buckets, the one without a bound, sum and count."""
        return super().most_series * (len(self.bounds) + 3)

    def record(
        self, amount: float, /, context: Context | None = None, **values: str | None
    ) -> None:
        """Note `amount`, with the span of `context`, or else the current one, as its exemplar."""
        self._histogram.record(amount, self._labelled(values), context)


class Observed(Instrument):
    """A value that is read when metrics are collected, from who has it at that time."""

    kind = "gauge"

    def __init__(self, name: str, unit: str, about: str, **labels: Label) -> None:
        super().__init__(name, unit, about, **labels)
        self._readers: list[Callable[[], Iterable[tuple[float, Mapping[str, str | None]]]]] = []
        self._make()(name, callbacks=[self._read], unit=unit, description=about)

    def _make(self) -> Callable[..., Any]:
        return _meter.create_observable_gauge

    def read_from(
        self, read: Callable[[], Iterable[tuple[float, Mapping[str, str | None]]]]
    ) -> Callable[[], None]:
        """Read values, each with its labels, from `read`; return what ends that.

        It is called in another thread.
        """
        self._readers.append(read)
        return lambda: self._readers.remove(read)

    @contextmanager
    def reading(
        self, read: Callable[[], Iterable[tuple[float, Mapping[str, str | None]]]]
    ) -> Iterator[None]:
        """Read values from `read` for the length of the block. See read_from."""
        end = self.read_from(read)
        try:
            yield
        finally:
            end()

    def _read(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        for read in tuple(self._readers):
            for value, values in read():
                yield metrics.Observation(value, self._labelled(values))


class ObservedTotal(Observed):
    """A total that only grows, and that somebody else counts."""

    kind = "counter"

    def _make(self) -> Callable[..., Any]:
        return _meter.create_observable_counter
