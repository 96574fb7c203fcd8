"""The tests that a document names, as `file.py::test`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
Name = tuple[str, str]
"""A test's file and function."""


def named(text: str) -> list[Name]:
    """Return the tests that a text names."""
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)


def functions_of(file: Path) -> set[str]:
    """Return the names of the functions of a file, those in classes included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def exists(name: Name) -> bool:
    """Whether there is such a test."""
    file, function = name
    paths = list(TESTS.rglob(file))
    return len(paths) == 1 and function in functions_of(paths[0])
