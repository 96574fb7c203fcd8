"""Prometheus' own tool takes our files, and our alerts ring when they should."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from observability import DASHBOARDS, OBSERVABILITY, dashboard, dashboard_queries

if TYPE_CHECKING:
    from pathlib import Path


def promtool(*arguments: str) -> str:
    """Run promtool in deploy/observability and return what it says; it must be content."""
    if shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs promtool, of Debian's package prometheus")
        pytest.skip("there is no promtool; CI has it")
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=OBSERVABILITY,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_prometheus_takes_its_configuration() -> None:
    """With the rules that it names."""
    assert "rules found" in promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("name", ["rules.yml", "alerts.yml"])
def test_prometheus_takes_the_rules(name: str) -> None:
    """Queries, durations and templates of texts can be read."""
    assert "SUCCESS" in promtool("check", "rules", name)


@pytest.mark.parametrize("name", ["rules_test.yml", "rules_days_test.yml"])
def test_alerts_ring_when_they_should_and_not_before(name: str) -> None:
    """Of each alert, both are tried."""
    assert "SUCCESS" in promtool("test", "rules", name)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_queries_of_dashboards_can_be_read(path: Path, tmp_path: Path) -> None:
    """Each as a rule, for that is what promtool reads."""
    rules = [
        {"record": f"panel:q{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, (_, query, _) in enumerate(dashboard_queries(dashboard(path)))
    ]
    written = tmp_path / "rules.yml"
    written.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(written))
