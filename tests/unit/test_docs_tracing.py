"""docs/tracing.md says what spans say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from spans_plugin import KEYS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/tracing.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"^##+ ", TEXT, flags=re.MULTILINE)[1:]
}


def test_the_table_of_attributes_is_what_there_is() -> None:
    """Each has one row, in order, and no row is of another."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|", SECTIONS["Attributes"], re.MULTILINE)
    assert rows == sorted(KEYS)


def test_the_table_of_spans_names_attributes_that_there_are() -> None:
    """Each attribute of a span is described below, and each is of some span."""
    named = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", SECTIONS["Spans"]))
    assert named - KEYS == set()
    assert KEYS - named == {"live_token.kept"}


def _operations() -> set[str]:
    """Return the names that are given to what measures a store's operations."""
    rooms = (path for room in ("policy", "tokenservice") for path in (ROOT / room).rglob("*.py"))
    return {
        argument.value
        for path in rooms
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"within", "_within", "called"}
        for argument in node.args[:2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_operations_on_stores_are_listed() -> None:
    """Each name that a store's operation has in the code is in the list, and no other."""
    listed = SECTIONS["Operations on stores"].partition("\n\nOne span")[0]
    assert set(re.findall(r"`([a-z_]+)`", listed)) == _operations()


@pytest.mark.parametrize(
    "path", sorted({f"{a}/{b}" for a, b in re.findall(r"`?(\w+)/(\w+\.py)`", TEXT)})
)
def test_the_files_that_it_names_are_there(path: str) -> None:
    """What is instrumented by hand is where it says."""
    assert (ROOT / path).is_file()
