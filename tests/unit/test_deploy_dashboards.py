"""Dashboards are what Grafana takes, and show what they say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from observability import (
    DASHBOARDS,
    OBSERVABILITY,
    ROOT,
    SCRAPED,
    dashboard,
    dashboard_queries,
    series,
)
from promql_names import names_in

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = series()
SCHEMA = json.loads((ROOT / "tests/support/grafana_dashboard.schema.json").read_text("utf-8"))
by_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


@by_dashboard
def test_dashboards_are_what_grafana_takes(path: Path) -> None:
    """By a schema of the parts that we rely on; Grafana publishes none that could be had here."""
    Draft202012Validator.check_schema(SCHEMA)
    problems = Draft202012Validator(SCHEMA).iter_errors(dashboard(path))
    assert [f"{list(problem.path)}: {problem.message[:200]}" for problem in problems] == []


@by_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(path: Path) -> None:
    """Grafana would move them about."""
    panels = dashboard(path)["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert all(x < 24 for x, _ in cells), panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@by_dashboard
def test_panels_can_be_narrowed_down(path: Path) -> None:
    """What has roles and instances heeds the variables; the rest is of the whole service."""
    for where, query, _ in dashboard_queries({**dashboard(path), "templating": {"list": []}}):
        for name, matchers in names_in(query).selectors:
            if name != "ALERTS" and KNOWN[name] >= SCRAPED:
                assert matchers["job"] == "$job", where
                assert matchers["instance"] == "$instance", where


@by_dashboard
def test_legends_name_labels_that_are_left(path: Path) -> None:
    """Of an aggregation, those that it is by."""
    for where, query, legend in dashboard_queries(dashboard(path)):
        asked = names_in(query)
        left = asked.grouping or {label for name, _ in asked.selectors for label in KNOWN[name]}
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= left, where


def test_durations_carry_exemplars() -> None:
    """A panel that shows how long requests took leads to their traces."""
    for path in DASHBOARDS:
        for panel in dashboard(path)["panels"]:
            for target in panel.get("targets", ()):
                timed = re.search(
                    r"(request|call|operation)_duration_seconds_bucket", target["expr"]
                )
                assert bool(timed) == target.get("exemplar", False), panel["title"]


def test_there_is_a_dashboard_for_each_matter() -> None:
    """And none that no document knows."""
    stems = {path.stem for path in DASHBOARDS}
    assert stems == {"quota", "refusals", "saturation", "traffic", "upstream"}
    text = (OBSERVABILITY / "README.md").read_text(encoding="utf-8")
    assert stems == set(re.findall(r"`dashboards/(\w+)\.json`", text))


def test_watching_is_no_slow_request() -> None:
    """The operations page's stream lasts for minutes: percentiles are of one route, or without."""
    apart = (
        'http_route="',
        'http_route!="/api/v1/operations:watch"',
        'rpc_method!="tokenservice.v1.OperationsService/WatchOperations"',
    )
    asked = [
        query
        for path in DASHBOARDS
        for _, query, _ in dashboard_queries(dashboard(path))
        if "histogram_quantile" in query and re.search("(request|call)_duration", query)
    ]
    assert asked
    assert [query for query in asked if not any(words in query for words in apart)] == []
