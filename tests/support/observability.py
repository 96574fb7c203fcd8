"""deploy/observability as data: its rules, dashboards, and which series there are to ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from promql_names import names_in

from serving import metrics, prometheus_names

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy/observability"
DASHBOARDS = sorted((OBSERVABILITY / "dashboards").glob("*.json"))
RULE_TESTS = ("rules_test.yml", "rules_days_test.yml")
SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds to whatever it scrapes."""

_SDK = frozenset({"otel_component_name", "otel_component_type", "error_type"})
FOREIGN = {
    "up": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "entry"}),
    "otel_sdk_processor_span_processed_total": _SDK,
    "otel_sdk_processor_span_queue_size": _SDK,
    "otel_sdk_processor_span_queue_capacity": _SDK,
    "otel_sdk_exporter_span_exported_total": _SDK,
    "otel_sdk_exporter_metric_data_point_exported_total": _SDK,
}
"""What Prometheus and OpenTelemetry's SDK count by themselves, with its labels."""


def loaded(name: str) -> Any:
    """Return a YAML file."""
    return yaml.safe_load((OBSERVABILITY / name).read_text(encoding="utf-8"))


def recordings() -> list[dict[str, Any]]:
    """Return the recording rules."""
    return [rule for group in loaded("rules.yml")["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return the alerts; one with two severities stands twice."""
    return [rule for group in loaded("alerts.yml")["groups"] for rule in group["rules"]]


def dashboard(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def dashboard_queries(board: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield, of each query, where it stands, what it asks, and how its series are shown."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
    for note in board["annotations"]["list"]:
        yield note["name"], note["expr"], f"{note['titleFormat']} {note['textFormat']}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert asked, variable["query"]
            yield variable["name"], f"count by ({asked[2]}) ({asked[1]})", ""


def series() -> dict[str, frozenset[str]]:
    """Return each time series that can be asked for, with its labels: ours, recorded, foreign."""
    known = {
        name: frozenset(labels) | SCRAPED
        for each in metrics.ALL
        for name, labels in prometheus_names.series_of(each).items()
    }
    known |= {name: labels | SCRAPED for name, labels in FOREIGN.items()}
    for rule in recordings():
        labels = _kept(rule["expr"], known) | rule.get("labels", {}).keys()
        known[rule["record"]] = known.get(rule["record"], frozenset()) | labels
    return known


def _kept(query: str, known: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return which labels the answer to a rule's query has."""
    asked = names_in(query)
    if re.search(r"\b(sum|count|min|max)\b", query) or asked.grouping:
        return frozenset(asked.grouping - {prometheus_names.BUCKET_BOUND})
    return frozenset(label for name, _ in asked.selectors for label in known.get(name, ()))


def problems_of(query: str, known: dict[str, frozenset[str]]) -> list[str]:
    """Return what `query` names that is not there."""
    asked = names_in(query)
    beneath = {label for name, _ in asked.selectors for label in known.get(name, ())}
    found = [f"no series {name}" for name, _ in asked.selectors if name not in known]
    found += [
        f"{name} has no label {label}"
        for name, matchers in asked.selectors
        for label in matchers.keys() - known.get(name, matchers.keys())
    ]
    return found + [f"no label {label}" for label in asked.grouping - beneath]
