"""Alerts say what they are, are tried out, and lead to a section of the runbook."""

from __future__ import annotations

import re

import pytest
from observability import DASHBOARDS, ROOT, RULE_TESTS, alerts, dashboard, loaded, series
from promql_names import names_in

KNOWN = series()
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")


def test_each_alert_says_what_it_is_and_where_to_read_on() -> None:
    """A severity, a summary, a description, a section of the runbook, a dashboard."""
    stems = {path.stem for path in DASHBOARDS}
    for rule in alerts():
        notes = rule["annotations"]
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert notes.keys() == {"summary", "description", "runbook_url", "dashboard"}
        assert notes["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert notes["dashboard"] in stems
        assert len(notes["summary"]) < 100


def test_texts_of_alerts_name_labels_that_their_queries_have() -> None:
    """A label that is not there would leave a gap in the text."""
    for rule in alerts():
        asked = names_in(rule["expr"])
        labels = {label for name, _ in asked.selectors for label in KNOWN[name]}
        if re.match(r"\(?\s*(sum|count)\b", rule["expr"].strip()):
            labels = asked.grouping
        shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert shown <= labels, rule["alert"]


def test_each_alert_is_tested_to_ring_and_not_to() -> None:
    """In every severity it is expected to ring, and once, a little below, not to."""
    rings, silent = set(), set()
    for name in RULE_TESTS:
        for test in loaded(name)["tests"]:
            for each in test.get("promql_expr_test", ()):
                for sample in each["exp_samples"]:
                    labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
                    if "alertname" in labels:
                        rings.add((labels["alertname"], labels["severity"]))
            for each in test.get("alert_rule_test", ()):
                assert each["exp_alerts"] == []
                silent.add(each["alertname"])
    assert rings == {(rule["alert"], rule["labels"]["severity"]) for rule in alerts()}
    assert silent == {rule["alert"] for rule in alerts()}


def test_tests_of_rules_know_all_groups() -> None:
    """Promtool evaluates groups in the order given, and those that are not named at random."""
    groups = [
        group["name"] for name in ("rules.yml", "alerts.yml") for group in loaded(name)["groups"]
    ]
    for name in RULE_TESTS:
        assert loaded(name)["group_eval_order"] == groups


def test_each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() -> None:
    """Under `## Alerts`, a section is an alert."""
    part = RUNBOOK.split("\n## Alerts\n")[1].split("\n## ")[0]
    sections = re.findall(r"^### (\w+)$", part, flags=re.MULTILINE)
    assert sorted(sections) == sorted({rule["alert"] for rule in alerts()})


def test_each_section_says_where_to_look_and_what_to_do() -> None:
    """Symptom, where to look, what to do."""
    part = RUNBOOK.split("\n## Alerts\n")[1].split("\n## ")[0]
    for section in part.split("\n### ")[1:]:
        for word in ("**Symptom.**", "**Look.**", "**Do.**"):
            assert section.count(word) == 1, section.splitlines()[0]


@pytest.mark.parametrize(
    "name", ["docs/runbook.md", "docs/metrics.md", "deploy/observability/README.md"]
)
def test_documents_name_series_and_labels_that_there_are(name: str) -> None:
    """Words in code that look like a metric, or like a label of ours, are one."""
    text = (ROOT / name).read_text(encoding="utf-8")
    code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))
    begins = r"(?:live_token|http_server|http_re|rpc|gen_ai|db|process|otel_sdk)[_:]"
    words = set(re.findall(rf"(?<![\w./-]){begins}[a-z0-9_:]+", code))
    labels = {label for all_of_one in KNOWN.values() for label in all_of_one}
    assert {word for word in words if word not in KNOWN and word not in labels} == set()


def test_panels_that_it_sends_to_are_there() -> None:
    """`*Dashboard → Panel, another*` is a title of a dashboard, and titles of its panels."""
    titles = {
        board["title"].removeprefix("Live tokens: ").capitalize(): sorted(
            (panel["title"] for panel in board["panels"]), key=len, reverse=True
        )
        for board in map(dashboard, DASHBOARDS)
    }
    sent = re.findall(r"\*(\w+)\s+→\s+([^*]+)\*", RUNBOOK)
    assert len(sent) > 20
    for board, panels in sent:
        if board == "Status":  # Prometheus' own page
            continue
        left = re.sub(r"\s+", " ", panels)
        for title in titles[board]:
            left = left.replace(title, "")
        assert set(left) <= set(", "), (board, panels)


def test_lines_that_it_looks_for_are_logged() -> None:
    """The events of log lines stand in the code, and so do the words of reasons."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("serving", "policy", "tokenservice", "gateway")
        for path in (ROOT / room).rglob("*.py")
    )
    events = set(re.findall(r'\.event\s+==\s+"([^"]+)"', RUNBOOK))
    reasons = set(re.findall(r'\.reason == "(\w+)"|^\| `([A-Z_]+)`', RUNBOOK, flags=re.MULTILINE))
    assert len(events) > 8
    assert {word for word in events if f'"{word}"' not in code} == set()
    assert {word for pair in reasons for word in pair if word and f'"{word}"' not in code} == set()


def test_settings_that_it_names_are_settings() -> None:
    """Variables of ours and of OpenTelemetry stand in docs/settings.md, or are the tool's."""
    documents = ("docs/settings.md", "docs/operators.md")
    known = "".join((ROOT / name).read_text(encoding="utf-8") for name in documents)
    begins = "POLICY|TOKENSERVICE|GATEWAY|GEMINI|LIVE_API|OTEL|TRACE"
    for name in ("docs/runbook.md", "docs/metrics.md", "deploy/observability/README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        variables = set(re.findall(rf"(?<![\w$])((?:{begins})_[A-Z_]+[A-Z])\b", text))
        unknown = {word for word in variables if f"`{word}`" not in known}
        assert unknown <= {"POLICY_UNAVAILABLE", "TRACES_ENDPOINT"}, name
