"""Rules, alerts and dashboards ask for what there is."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from observability import (
    DASHBOARDS,
    FOREIGN,
    ROOT,
    RULE_TESTS,
    alerts,
    dashboard,
    dashboard_queries,
    loaded,
    problems_of,
    recordings,
    series,
)
from promql_names import names_in

from serving import interceptor, metrics, prometheus_names
from serving.instruments import Histogram
from tokenservice.v1 import tokenservice_pb2

KNOWN = series()
ROUTES = {"/api/v1/live-token", "/api/v1/live-token/usage", "/api/v1/operations:watch"}
QUERIES = {
    **{f"rules.yml, {n}, {r['record']}": r["expr"] for n, r in enumerate(recordings())},
    **{f"alerts.yml, {n}, {r['alert']}": r["expr"] for n, r in enumerate(alerts())},
    **{
        f"{path.name}, {n}, {where}": query
        for path in DASHBOARDS
        for n, (where, query, _) in enumerate(dashboard_queries(dashboard(path)))
    },
}


def matchers_of_all() -> list[tuple[str, str, str]]:
    """Return series, label and value of each matcher in all queries and tests of rules."""
    tested = [
        each["series"]
        for name in RULE_TESTS
        for test in loaded(name)["tests"]
        for each in test["input_series"]
    ]
    return [
        (name, label, value)
        for query in (*QUERIES.values(), *tested)
        for name, matchers in names_in(query).selectors
        for label, value in matchers.items()
    ]


@pytest.mark.parametrize("where", QUERIES)
def test_every_query_asks_for_series_and_labels_that_there_are(where: str) -> None:
    """Of the table of metrics, recorded by a rule, or counted by Prometheus or the SDK."""
    assert problems_of(QUERIES[where], KNOWN) == []


def test_a_query_for_what_is_not_there_is_told() -> None:
    """Else the test above would say nothing."""
    good = 'sum by (live_token_tier) (rate(live_token_tokens_issued_total{job="a"}[5m]))'
    assert problems_of(good, KNOWN) == []
    assert problems_of(good.replace("issued", "isued"), KNOWN)
    assert problems_of(good.replace("job=", "live_token_reason="), KNOWN)
    assert problems_of(good.replace("by (live_token_tier)", "by (live_token_limit)"), KNOWN)
    assert problems_of('live_token:refusals:ratio_rate10m{job="a"}', KNOWN)


def test_tests_of_rules_feed_series_that_there_are() -> None:
    """A test that feeds another name would prove nothing of what is really scraped."""
    for name in RULE_TESTS:
        for test in loaded(name)["tests"]:
            for each in test["input_series"]:
                assert problems_of(each["series"], KNOWN) == [], test["name"]


def test_values_asked_for_can_be() -> None:
    """Bounds of buckets, listed values of labels, methods, routes: each is one that there is."""
    bounds: dict[str, set[str]] = {}
    listed: dict[tuple[str, str], frozenset[str]] = {}
    for each in metrics.ALL:
        for name in prometheus_names.series_of(each):
            if isinstance(each, Histogram):
                bounds[name] = {f"{float(bound)}" for bound in each.bounds} | {"+Inf"}
            for of_it in each.labels.values():
                if of_it.values is not None:
                    listed[name, prometheus_names.label_name(of_it.key)] = of_it.values
    seen: Counter[str] = Counter()
    for name, label, value in matchers_of_all():
        seen[label] += 1
        if label == "le":
            assert value in bounds[name], (name, value)
        elif (name, label) in listed:
            assert value in listed[name, label], (name, label, value)
        elif label == "http_route":
            assert value in ROUTES
    assert seen["le"] > 10
    assert seen["http_route"] > 10


def test_requests_for_a_token_are_those_of_the_api() -> None:
    """The route and the method that rules ask for are in the proto."""
    document = json.loads((ROOT / "gateway/openapi.json").read_text("utf-8"))
    assert "post" in document["paths"]["/api/v1/live-token"]
    (service,) = (
        each
        for each in tokenservice_pb2.DESCRIPTOR.services_by_name.values()
        if each.name == "TokenService"
    )
    method = f"{service.full_name}/{service.methods_by_name['CreateToken'].name}"
    named = {value for _, label, value in matchers_of_all() if label == "rpc_method"}
    assert method in named


def test_our_faults_are_those_of_the_code() -> None:
    """The statuses that rules count as errors are those that spans are marked with."""
    faults = {code.name for code in interceptor._SERVER_FAULTS}
    asked = {
        frozenset(value.split("|"))
        for name, label, value in matchers_of_all()
        if label == "rpc_response_status_code" and "|" in value and name.startswith("rpc_")
    }
    assert asked == {frozenset(faults)}


def test_each_rule_is_recorded_once() -> None:
    """By name and labels."""
    names = Counter((rule["record"], str(rule.get("labels"))) for rule in recordings())
    assert [name for name, times in names.items() if times > 1] == []


def test_every_metric_is_on_a_dashboard() -> None:
    """What nobody looks at need not be measured."""
    shown = {
        name
        for where, query in QUERIES.items()
        for name, _ in names_in(query).selectors
        if not where.startswith("alerts.yml")
    }
    unseen = [
        each.name for each in metrics.ALL if not shown & prometheus_names.series_of(each).keys()
    ]
    assert unseen == []


def test_prometheus_scrapes_the_roles_that_rules_know() -> None:
    """Jobs are the roles, each at a port of its own."""
    jobs: dict[str, Any] = {
        each["job_name"]: each["static_configs"][0]["targets"]
        for each in loaded("prometheus.yml")["scrape_configs"]
    }
    assert jobs == {
        "gateway": ["127.0.0.1:9464"],
        "tokenservice": ["127.0.0.1:9465"],
        "policy": ["127.0.0.1:9466"],
    }
    assert loaded("prometheus.yml")["rule_files"] == ["rules.yml", "alerts.yml"]
    asked = {value for _, label, value in matchers_of_all() if label == "job"}
    assert asked - {"$job", "something-else", "gateway|tokenservice|policy"} <= jobs.keys()


def test_the_foreign_series_are_asked_for() -> None:
    """The list of exceptions holds nothing that is not needed."""
    asked = {name for query in QUERIES.values() for name, _ in names_in(query).selectors}
    assert FOREIGN.keys() <= asked
