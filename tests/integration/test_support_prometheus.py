"""What tests rely on in their Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_process import QueryError, executable, prometheus

if TYPE_CHECKING:
    from pathlib import Path

ITSELF: dict[str, Any] = {"global": {"scrape_interval": "100ms"}, "scrape_configs": []}
TWO = {"x": 1.0, "y": 2.0}


def with_rules(*rules: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a configuration with rules, and its files."""
    group = {"name": "all", "interval": "100ms", "rules": list(rules)}
    return {**ITSELF, "rule_files": ["r.yml"]}, {"r.yml": {"groups": [group]}}


async def test_it_answers_queries(tmp_path: Path) -> None:
    """With numbers, with nothing, or with what is wrong with them."""
    async with prometheus(tmp_path, ITSELF, {}) as server:
        assert await server.value("1 + 1") == 2
        assert await server.value("vector(3)") == 3
        assert await server.value("there_is_no_such_series") == 0
        two = " or ".join(f'label_replace(vector({n}), "a", "{a}", "", "")' for a, n in TWO.items())
        assert await server.by("a", two) == TWO
        with pytest.raises(QueryError, match="2 answers"):
            await server.value(two)
        with pytest.raises(QueryError, match="parse error"):
            await server.query("sum(")


async def test_it_runs_the_rules_it_is_given(tmp_path: Path) -> None:
    """An alert fires, with what it says."""
    alert = {
        "alert": "Always",
        "expr": "vector(7)",
        "labels": {"severity": "page"},
        "annotations": {"summary": "it is {{ $value }}"},
    }
    async with prometheus(tmp_path, *with_rules(alert)) as server:
        while not (alerts := await server.alerts()):
            pass
        (fired,) = alerts
        assert (fired.name, fired.severity, fired.state) == ("Always", "page", "firing")
        assert fired.annotations == {"summary": "it is 7"}
        assert [rule["name"] for rule in await server.rules()] == ["Always"]


async def test_it_ends_with_its_block(tmp_path: Path) -> None:
    """Nobody listens there any more."""
    async with prometheus(tmp_path, ITSELF, {}) as server:
        assert await server.ready()
    async with aiohttp.ClientSession(trust_env=False) as http:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(server.url)


async def test_what_it_cannot_run_is_told(tmp_path: Path) -> None:
    """Not after a timeout, and with its own words."""
    broken = {"alert": "Broken", "expr": "sum("}
    with pytest.raises(RuntimeError, match="unclosed left parenthesis"):
        async with prometheus(tmp_path, *with_rules(broken)):
            pytest.fail("it runs")


def test_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test is skipped, but in CI it fails."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no prometheus"):
        executable()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI needs"):
        executable()
