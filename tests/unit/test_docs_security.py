"""The threat model names tests that exist, and leaves nothing without a reason."""

from __future__ import annotations

import re

import pytest
from named_tests import ROOT, exists, named

DOCUMENT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
THREATS = re.split(r"^## Threats$", DOCUMENT, flags=re.MULTILINE)[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in THREATS.splitlines()
    if line.startswith("|") and not line.startswith(("| Attack ", "|---"))
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_each_threat_has_a_test_that_exists(row: list[str]) -> None:
    """Or a reason; and names nothing that is gone."""
    assert len(row) == 3, "attack, control, test"
    assert all(row[:2])
    tests = named(row[-1])
    assert tests or "*Left*" in row[1]
    assert len(re.findall(r"`[^`]+`", row[-1])) == len(tests), "a name that is none"
    for name in tests:
        assert exists(name), name


def test_each_threat_stands_once() -> None:
    """There are as many as were thought of, no two the same."""
    attacks = [row[0] for row in ROWS]
    assert len(attacks) == len(set(attacks))
    assert len(attacks) >= 55


def test_reporters_find_the_way() -> None:
    """Where people look for it, the way to report is pointed at."""
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "## Report a vulnerability" in DOCUMENT
