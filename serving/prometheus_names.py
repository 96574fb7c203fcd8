"""What Prometheus calls what OpenTelemetry measures, by OpenTelemetry's rules for that.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/, and where
those leave it open, as the Collector does it: `1` is a ratio of gauges alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.instruments import Instrument

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"
BUCKET_BOUND = "le"
"""The label that a histogram's buckets have beside its own."""

_UNITS = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "%": "percent",
}
_ANNOTATION = re.compile(r"\{[^}]*\}")
_NO_NAME = re.compile(r"[^a-zA-Z0-9:]+|__+")
_NO_LABEL = re.compile(r"[^a-zA-Z0-9]+|__+")


def unit_suffix(unit: str, kind: str) -> str:
    """Return the word that `unit`, in UCUM, is in a name of this kind; empty if there is none."""
    whole, _, divisor = _ANNOTATION.sub("", unit).partition("/")
    if whole == "1":
        whole = "ratio" if kind == GAUGE and not divisor else ""
    word, per = _word(whole), _word(divisor).removesuffix("s")
    return f"{word}_per_{per}".strip("_") if per else word


def family_name(name: str, unit: str, kind: str) -> str:
    """Return the name of the family: with its unit, but without `_total` or `_bucket`."""
    family = _NO_NAME.sub("_", name).strip("_")
    if kind == COUNTER:
        family = family.removesuffix("_total")
    suffix = unit_suffix(unit, kind)
    if suffix and family != suffix and not family.endswith(f"_{suffix}"):
        family = f"{family}_{suffix}"
    return f"_{family}" if family[:1].isdigit() else family


def series_names(name: str, unit: str, kind: str) -> tuple[str, ...]:
    """Return the names of a metric's time series."""
    family = family_name(name, unit, kind)
    match kind:
        case "counter":
            return (f"{family}_total",)
        case "histogram":
            return (f"{family}_bucket", f"{family}_sum", f"{family}_count")
        case _:
            return (family,)


def label_name(key: str) -> str:
    """Return the label that an attribute becomes."""
    name = _NO_LABEL.sub("_", key)
    return f"key_{name}" if name[:1].isdigit() else name


def series_of(instrument: Instrument) -> dict[str, tuple[str, ...]]:
    """Return an instrument's time series, each with the labels that it can have."""
    labels = tuple(label_name(label.key) for label in instrument.labels.values())
    return {
        series: (*labels, BUCKET_BOUND) if series.endswith("_bucket") else labels
        for series in series_names(instrument.name, instrument.unit, instrument.kind)
    }


def _word(unit: str) -> str:
    return _UNITS.get(unit, re.sub(r"[^a-zA-Z0-9]+", "_", unit).strip("_"))
