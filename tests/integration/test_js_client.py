"""The JavaScript client by itself: its own tests in Node, and its types under strict TypeScript."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import client_types
import pytest
from node_tools import node_tools

TESTS = Path(__file__).parents[1] / "client_js"
_BROWSER: dict[str, Any] = {"lib": ["es2023", "dom", "dom.iterable"], "types": []}
_NODE: dict[str, Any] = {"lib": ["es2023"], "types": ["node"]}


def test_it_does_what_its_tests_in_node_say() -> None:
    """Each of its tests in Node passes; there are some, and none is skipped."""
    node_tools()  # says so where there is no Node
    files = sorted(TESTS.glob("*.test.mjs"))
    assert files
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *files],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    counts = {name: int(n) for name, n in re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE)}
    failed = done.stdout + done.stderr
    assert done.returncode == 0, failed
    assert counts["pass"] == counts["tests"] >= len(files), failed


def test_its_declarations_are_fresh() -> None:
    """The committed .d.ts files are what tsc makes of the modules, whose JSDoc passes --strict."""
    how = "run .venv/bin/python tests/support/client_types.py"
    assert client_types.committed() == client_types.made(), how


@pytest.mark.parametrize("platform", [_BROWSER, _NODE], ids=["browser", "node"])
def test_strict_programs_compile(platform: dict[str, Any], tmp_path: Path) -> None:
    """A TypeScript program gets the client's types by its package name, beside the SDK's own."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    installed = node_tools() / "node_modules"
    for name in ("@google", "@types"):
        (modules / name).symlink_to(installed / name)
    (modules / "live-token-client").symlink_to(client_types.CLIENT)
    (tmp_path / "consumer.ts").write_text((TESTS / "consumer.ts").read_text())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    # The declarations of the SDK want packages of its own that are not there.
    client_types.tsc(tmp_path, {"noEmit": True, "skipLibCheck": True, **platform}, ["consumer.ts"])


def test_the_package_is_complete() -> None:
    """What the package exports is there, and it depends on nothing."""
    package = json.loads((client_types.CLIENT / "package.json").read_text())
    exported = package["exports"]["."]
    assert [package["main"], package["types"]] == [exported["default"], exported["types"]]
    assert all((client_types.CLIENT / name).is_file() for name in exported.values())
    assert not [key for key in package if key.endswith(("ependencies", "scripts"))]
