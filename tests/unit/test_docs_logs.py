"""docs/logs.md says what the code logs, no more and no less."""

from __future__ import annotations

import ast
import re

import log_events
from log_events import ROOT

from serving import log_areas

DOCUMENT = (ROOT / "docs/logs.md").read_text(encoding="utf-8")
_EVENT = re.compile(r"^\| `([^`]+)` \| ([a-z, ]+) \| ((?:`\w+`(?:, )?)*) ?\| .*\|$", re.MULTILINE)
_UNNAMED = {  # what these log is read from who calls them
    "policy.operators.service",
    "policy.service",
    "serving.losses",
}
_OF_THE_FORM_ITSELF = {"log lines lost": {"dropped"}, "not a log line": {"logger", "cause"}}


def section(name: str) -> str:
    """Return a section of the document."""
    return re.split(rf"^## {name}$", DOCUMENT, flags=re.MULTILINE)[1].split("\n## ")[0]


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return levels and fields of each event in the document."""
    rows = _EVENT.findall(section("Events"))
    assert len(rows) == len({name for name, *_ in rows}), "an event stands twice"
    return {
        name: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields)))
        for name, levels, fields in rows
    }


def test_every_row_is_read() -> None:
    """No row of the table is passed over."""
    assert len(documented()) == section("Events").count("\n| `")


def test_each_event_is_documented() -> None:
    """The table has exactly the events in the code, with their levels and fields."""
    events, unnamed = log_events.events()
    assert unnamed == _UNNAMED
    table = documented()
    for name, fields in _OF_THE_FORM_ITSELF.items():
        assert table.pop(name)[1] == fields
    assert table == {name: (event.levels, event.fields) for name, event in events.items()}


def test_loggers_are_where_they_are_looked_for() -> None:
    """A logger is called `log`, or used where it is made; then no line escapes this test."""
    for module, tree in log_events.modules():
        text = ast.unparse(tree)
        made = len(re.findall(r"structlog\.get_logger\(", text))
        seen = re.findall(r"\blog = structlog\.get_logger\(|get_logger\(__name__\)\.\w+\(", text)
        assert made == len(seen), module


def test_no_event_hides_what_every_line_has() -> None:
    """No field of ours is called as one that all lines have, and would be dropped."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("Every line"), re.MULTILINE)
    common = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {"timestamp", "level", "service", "event"} < common
    events, _ = log_events.events()
    assert not {name for name, event in events.items() if event.fields & common}


def test_each_logger_of_ours_has_an_area() -> None:
    """Every module that logs belongs to exactly one area, and each area is documented."""
    areas = {name: log_areas.of_logger(name) for name, _ in log_events.modules()}
    assert None not in areas.values(), areas
    rows = re.findall(r"^\| `(\w+)` \|", section("Areas"), re.MULTILINE)
    assert rows == list(log_areas.AREAS)


def test_each_name_of_an_area_is_of_something() -> None:
    """The table of areas names modules that there are, each once."""
    names = [name for names in log_areas.AREAS.values() for name in names]
    assert len(names) == len(set(names))
    for name in set(names) - {"__main__"}:
        path = ROOT / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
