"""Labels are bounded, whatever is put into them."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from uuid import uuid4

import metering
import pytest
from opentelemetry import metrics as metrics_api

from serving import metrics
from serving.instruments import (
    MOST_SETS,
    OTHER,
    Counter,
    Gauge,
    Histogram,
    Instrument,
    Observed,
    label,
)

ROOT = Path(__file__).parents[3]
ROOMS = ("gateway", "policy", "serving", "stack", "tokenservice")
MOST_SERIES = 10_000
"""What one metric may make of time series in one process, at Prometheus."""


def named() -> str:
    """Return a name for an instrument of a test's own: the process keeps it for ever."""
    return f"test.{uuid4().hex}"


def values(name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a test's own instrument, by those of its labels in their order."""
    return {
        tuple(value for _, value in sorted(key)): number
        for key, number in metering.series().get(name, {}).items()
    }


def test_listed_values_are_the_only_ones() -> None:
    """What is not listed counts as _OTHER, and nothing is lost."""
    counter = Counter(named(), "1", "", way=label("way", "", "up", "down"))
    for way in ("up", "down", "down", "ann@example.com", "192.0.2.7"):
        counter.add(way=way)
    assert values(counter.name) == {("up",): 1, ("down",): 2, (OTHER,): 2}


def test_so_many_values_are_kept_apart() -> None:
    """The first that are met have series of their own, and keep them; the rest is one."""
    counter = Counter(named(), "1", "", word=label("word", most=3))
    for word in ("a", "b", "c", "d", "e", "a"):
        counter.add(word=word)
    counter.add(word="x" * 101)
    assert values(counter.name) == {("a",): 2, ("b",): 1, ("c",): 1, (OTHER,): 3}


def test_a_long_value_is_none_of_them() -> None:
    """What is longer than a name would be is no value, also where there is room."""
    counter = Counter(named(), "1", "", word=label("word"))
    counter.add(word="x" * 101)
    assert values(counter.name) == {(OTHER,): 1}


def test_labels_do_not_multiply_without_end() -> None:
    """So many sets of values are kept apart, and go on; the rest counts as one set."""
    counter = Counter(named(), "1", "", one=label("a", most=50), two=label("b", most=50))
    for one in range(50):
        for two in range(50):
            counter.add(one=f"{one}", two=f"{two}")
    counter.add(one="0", two="0")
    counted = values(counter.name)
    assert len(counted) == MOST_SETS + 1
    assert counted[OTHER, OTHER] == 2500 - MOST_SETS
    assert counted["0", "0"] == 2
    assert sum(counted.values()) == 2501


def test_nothing_is_kept_of_what_is_beyond() -> None:
    """A flood of new values takes no memory here."""
    counter = Counter(named(), "1", "", word=label("word", most=3))
    for number in range(1000):
        counter.add(word=f"{number}")
    assert len(counter._attributes) == 4
    assert {name: len(seen) for name, seen in counter._seen.items()} == {"word": 3}


def test_a_label_that_is_not_in_the_table_is_refused() -> None:
    """A name that nobody declared is a defect, told by the first call."""
    counter = Counter(named(), "1", "", word=label("word"))
    with pytest.raises(TypeError, match="has no label user"):
        counter.add(user="ann")
    assert values(counter.name) == {}


def test_what_is_absent_is_no_label() -> None:
    """A value of None leaves the label out."""
    histogram = Histogram(named(), "s", "", error=label("error"), way=label("way"))
    histogram.record(0.1, way="up")
    histogram.record(0.1, way="up", error=None)
    assert values(histogram.name) == {("up",): 2}


def test_observed_values_are_bounded_too() -> None:
    """What is read when metrics are collected passes the same bounds, until its reader ends."""
    observed = Observed(named(), "1", "", word=label("word", most=2))
    end = observed.read_from(lambda: [(n, {"word": f"{n}"}) for n in range(5)])
    assert set(values(observed.name)) == {("0",), ("1",), (OTHER,)}
    end()
    assert values(observed.name) == {}


@pytest.mark.parametrize("most", [0, 101])
def test_no_label_is_without_a_bound(most: int) -> None:
    """A label has 1 to 100 values."""
    with pytest.raises(ValueError, match="1 to 100"):
        label("a", most=most)


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_each_metric_has_a_budget_of_series(metric: Instrument) -> None:
    """Whatever happens, a metric makes no more than 10,000 time series in a process."""
    assert metric.most_series <= MOST_SERIES
    for each in metric.labels.values():
        assert each.values is not None or 1 <= each.most <= 100


def test_the_budget_is_that_of_the_worst_case() -> None:
    """It is what Prometheus would see of all values of all labels, and of none."""
    counter = Counter(named(), "1", "", one=label("a", "", "x", "y"), two=label("b", most=3))
    for one in ("x", "y", "z", None):
        for two in ("0", "1", "2", "3", None):
            counter.add(one=one, two=two)
    assert len(metering.series()[counter.name]) == counter.most_series == 20
    histogram = Histogram(named(), "s", "", bounds=(1, 2), one=label("a", "", "x", "y"))
    assert histogram.most_series == 4 * (3 + 2)


def test_nothing_else_makes_instruments() -> None:
    """All that is measured passes serving/instruments.py: nothing else can make series."""
    makers = {each for each in dir(metrics_api.Meter) if each.startswith("create_")}
    assert len(makers) >= 7
    found = {
        (path.relative_to(ROOT).as_posix(), node.attr)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {*makers, "get_meter"}
    }
    assert {path for path, _ in found} == {"serving/instruments.py"}


def test_nothing_is_measured_beside_the_table() -> None:
    """Instruments are made in serving/metrics.py alone, where each is named and described."""
    kinds = {"Counter", "Gauge", "Histogram", "Observed", "ObservedTotal"}
    makers = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "serving.instruments"
        and kinds & {each.name for each in node.names}
    }
    assert makers <= {"serving/metrics.py", "serving/metrics_reference.py"}


def test_every_metric_is_in_the_table_once() -> None:
    """No two have a name in common, and each says what it is about."""
    names = [each.name for each in metrics.ALL]
    assert len(names) == len(set(names)) > 20
    assert all(each.about.endswith(".") and each.unit for each in metrics.ALL)


def test_counts_of_many_threads_add_up() -> None:
    """Nothing is lost between them, nor while it is collected; what goes up comes down."""
    counter = Counter(named(), "1", "", way=label("way", "", "up", "down"))
    gauge = Gauge(named(), "1", "")

    def work() -> None:
        for _ in range(5_000):
            counter.add(way="up")
            gauge.add(2)
            gauge.add(-2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metering.series()
    for thread in threads:
        thread.join()
    assert values(counter.name) == {("up",): 40_000}
    assert values(gauge.name) == {(): 0}
