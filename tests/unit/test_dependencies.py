"""What is installed is what was tested: each dependency, of whatever depth, is pinned."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = canonicalize_name(PROJECT["project"]["name"])


def declared() -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for, in any extra or group."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    for lines in (*extras, *groups):
        yield from map(Requirement, lines)


def needed() -> set[str]:
    """Return the names of all that is needed here, dependencies of dependencies included."""
    found: set[str] = set()
    waiting = [(r, extra) for r in declared() for extra in (r.extras or {""})]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == OWN or (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        for line in metadata.requires(name) or ():
            inner = Requirement(line)
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                waiting += [(inner, each) for each in (*inner.extras, "")]
    return found


def test_every_dependency_is_pinned_to_one_version() -> None:
    """constraints.txt has a `==` for each, so an install gets what was tested and no other."""
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert needed() - pinned == set()


def test_pins_name_no_place_to_install_from() -> None:
    """Neither addresses nor options stand in constraints.txt: names and versions alone."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!-]+", line)] == []
