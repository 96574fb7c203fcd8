"""What the fast world of the tests with Prometheus makes of rules and queries."""

from __future__ import annotations

import pytest
from observability import DASHBOARDS, alerts, dashboard, dashboard_queries, loaded, recordings
from time_lapse import TimeLapse

LAPSE = TimeLapse(60, scrape_seconds=0.5)


@pytest.mark.parametrize(
    "real, fast",
    [
        ("60s", "1000ms"),
        ("5m", "5000ms"),
        ("1h30m", "90000ms"),
        ("3d", "4320000ms"),
        ("1w", "10080000ms"),
        ("90ms", "2ms"),
        ("1ms", "1ms"),  # a range of none would be no range
        ("0", "0ms"),
    ],
)
def test_durations(real: str, fast: str) -> None:
    """A minute is a second."""
    assert LAPSE.duration(real) == fast


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "1.5h", "-1m", "5min"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Else it would be taken for one that is not scaled."""
    with pytest.raises(ValueError, match="no duration"):
        LAPSE.duration(text)


@pytest.mark.parametrize(
    "real, fast",
    [
        ("rate(a[5m])", "rate(a[5000ms])"),
        ("rate(a[ 5m ])", "rate(a[ 5000ms ])"),
        ("a offset 15m", "a offset 15000ms"),
        ("a offset -1h", "a offset -60000ms"),
        ("rate(a[1d] offset 15m)", "rate(a[1440000ms] offset 15000ms)"),
        ("max_over_time(rate(a[5m])[1h:1m])", "max_over_time(rate(a[5000ms])[60000ms:1000ms])"),
        ("max_over_time(a[1h:])", "max_over_time(a[60000ms:])"),
        ("rate(a[1h30m])", "rate(a[90000ms])"),
        ("rate(a[$__rate_interval])", "rate(a[2000ms])"),
    ],
)
def test_windows_are_scaled(real: str, fast: str) -> None:
    """Ranges, both parts of a subquery, offsets; Grafana's interval is four scrapes."""
    assert LAPSE.query(real) == fast


@pytest.mark.parametrize(
    "query",
    [
        "a > 1800",
        "a > 14.4 * 0.001",
        'a{le="2.5"} > 5',
        'a{note="offset 5m [5m]"}',
        "a{note='rate(b[5m])'}",
        "a # of the last [5m], offset 1h",
        "live_token:mint_errors:ratio_rate5m",
        "a_offset_5m == 1",
        "a @ 1609746000",
        'a{job=~"$job"}',
    ],
)
def test_all_else_stays(query: str) -> None:
    """Numbers are counts, seconds or shares; names, texts and comments are nobody's window."""
    assert LAPSE.query(query) == query


def test_files_of_rules() -> None:
    """How long an alert must hold, and how often a group is judged, are scaled with its query."""
    real = {
        "groups": [
            {
                "name": "g",
                "interval": "1m",
                "rules": [
                    {"record": "r", "expr": "rate(a[5m])"},
                    {"alert": "A", "expr": "r > 5", "for": "15m", "labels": {"severity": "page"}},
                ],
            }
        ]
    }
    assert LAPSE.rules(real) == {
        "groups": [
            {
                "name": "g",
                "interval": "1000ms",
                "rules": [
                    {"record": "r", "expr": "rate(a[5000ms])"},
                    {
                        "alert": "A",
                        "expr": "r > 5",
                        "for": "15000ms",
                        "labels": {"severity": "page"},
                    },
                ],
            }
        ]
    }
    assert real["groups"][0]["interval"] == "1m"


def test_of_our_own_files_nothing_is_left_at_real_speed() -> None:
    """Each window of theirs is milliseconds."""
    queries = [rule["expr"] for rule in (*recordings(), *alerts())]
    queries += [query for path in DASHBOARDS for _, query, _ in dashboard_queries(dashboard(path))]
    for query in queries:
        windows = [part.split("]")[0] for part in LAPSE.query(query).split("[")[1:]]
        assert all(window.endswith("ms") for window in windows), query
    assert sum("[" in query for query in queries) > 50
    for name in ("rules.yml", "alerts.yml"):
        groups = LAPSE.rules(loaded(name))["groups"]
        assert all(r["for"].endswith("ms") for g in groups for r in g["rules"] if "for" in r)
