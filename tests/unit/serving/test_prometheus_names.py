"""Names of metrics at Prometheus: what OpenTelemetry's specification says they are."""

from __future__ import annotations

import re

import pytest

from serving import metrics, prometheus_names
from serving.prometheus_names import family_name, label_name, series_names, series_of


@pytest.mark.parametrize(
    "name, unit, kind, series",
    [
        ("active_requests", "{request}", "up-down counter", "active_requests"),
        ("live_token.shed", "{request}", "counter", "live_token_shed_total"),
        ("jobs.total", "{job}", "counter", "jobs_total"),
        ("process.cpu.time", "s", "counter", "process_cpu_time_seconds_total"),
        ("process.memory.usage", "By", "gauge", "process_memory_usage_bytes"),
        ("system.memory.utilization", "1", "gauge", "system_memory_utilization_ratio"),
        ("hits", "1", "counter", "hits_total"),
        ("hits", "1", "up-down counter", "hits"),
        ("hits", "", "gauge", "hits"),
        ("jwks.age.seconds", "s", "gauge", "jwks_age_seconds"),
        ("seconds_before_my_birthday", "s", "gauge", "seconds_before_my_birthday_seconds"),
        ("disk.io", "By/s", "gauge", "disk_io_bytes_per_second"),
        ("disk.io", "By{compressed}/s", "gauge", "disk_io_bytes_per_second"),
        ("faults", "{fault}/s", "gauge", "faults_per_second"),
        ("a..b__c-d", "", "gauge", "a_b_c_d"),
        ("3d.views", "{view}", "gauge", "_3d_views"),
        ("job:latency:rate5m", "s", "gauge", "job:latency:rate5m_seconds"),
        ("foo", "furlong", "gauge", "foo_furlong"),
    ],
)
def test_a_name_has_its_unit_and_its_kind(name: str, unit: str, kind: str, series: str) -> None:
    """Dots are underscores, the unit is a word at the end, and what only grows is a total."""
    (found,) = series_names(name, unit, kind)
    assert found == series


def test_a_histogram_is_three_series() -> None:
    """A histogram has buckets, a sum and a count; `1` adds nothing to its name."""
    assert series_names("rpc.server.call.duration", "s", "histogram") == (
        "rpc_server_call_duration_seconds_bucket",
        "rpc_server_call_duration_seconds_sum",
        "rpc_server_call_duration_seconds_count",
    )
    assert family_name("quota.used", "1", "histogram") == "quota_used"


@pytest.mark.parametrize(
    "key, label",
    [
        ("rpc.method", "rpc_method"),
        ("http.response.status_code", "http_response_status_code"),
        ("a.-b", "a_b"),
        ("a:b", "a_b"),
        ("2nd", "key_2nd"),
    ],
)
def test_a_label_is_a_label_of_prometheus(key: str, label: str) -> None:
    """An attribute's key becomes a label with underscores."""
    assert label_name(key) == label


def test_an_instrument_tells_its_series_with_their_labels() -> None:
    """Buckets have their bound beside the labels of the instrument."""
    own = ("rpc_method", "rpc_response_status_code", "error_type")
    assert series_of(metrics.RPC_SERVER_DURATION) == {
        "rpc_server_call_duration_seconds_bucket": (*own, "le"),
        "rpc_server_call_duration_seconds_sum": own,
        "rpc_server_call_duration_seconds_count": own,
    }


def test_no_two_metrics_of_ours_share_a_name() -> None:
    """The series of the table are distinct, and valid at Prometheus, as are their labels."""
    series = [name for each in metrics.ALL for name in series_of(each)]
    assert len(series) == len(set(series))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in series)
    for each in metrics.ALL:
        for labels in series_of(each).values():
            assert len(labels) == len(set(labels))
            assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in labels)
            own = set(labels) - {prometheus_names.BUCKET_BOUND}
            assert not own & {"job", "instance", "le", "quantile"}
