"""Each row of the contract names a test that exists, and each of its tests stands there."""

from __future__ import annotations

import re

import pytest
from named_tests import ROOT, TESTS, exists, functions_of, named

DOCUMENT = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in DOCUMENT.splitlines()
    if line.startswith("|") and not line.startswith(("| | Tests", "|---"))
]


@pytest.mark.parametrize("row", ROWS, ids=[row[2:60] for row in ROWS])
def test_each_row_has_tests_that_exist(row: str) -> None:
    """And names nothing that is gone."""
    what, tests = (cell.strip() for cell in row.strip("|").rsplit("|", 1))
    assert what
    assert named(tests)
    assert len(re.findall(r"`[^`]+`", tests)) == len(named(tests)), "a name that is none"
    for name in named(tests):
        assert exists(name), name


def test_each_test_of_the_contract_stands_in_it() -> None:
    """None is lost."""
    files = (TESTS / "contract/live_token").glob("test_*.py")
    written = {
        (file.name, function)
        for file in files
        for function in functions_of(file)
        if function.startswith("test_")
    }
    assert written <= set(named(DOCUMENT))
