"""The TypeScript declarations of the JavaScript client, which tsc makes of its JSDoc.

`python tests/support/client_types.py` writes them beside the modules.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node_tools import node_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT = Path(__file__).parents[2] / "gateway" / "pages" / "live-token-client"
_WRITTEN_BY_HAND = "types.d.ts"
_STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "noImplicitReturns": True,
    "target": "es2022",
    "module": "nodenext",
}


def tsc(directory: Path, options: Mapping[str, Any], files: list[str]) -> None:
    """Check `files` in a directory, as strictly as can be.

    Raises:
        AssertionError: They are not in order; says why.

    """
    config = {"compilerOptions": {**_STRICT, **options}, "files": files}
    (directory / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [node_tools() / "node_modules" / ".bin" / "tsc", "--project", directory],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def committed() -> dict[str, str]:
    """Return the declarations that are beside the modules, by name."""
    found = (path for path in CLIENT.glob("*.d.ts") if path.name != _WRITTEN_BY_HAND)
    return {path.name: path.read_text(encoding="utf-8") for path in found}


def made() -> dict[str, str]:
    """Check the modules, and return the declarations that they have.

    Raises:
        AssertionError: Their JSDoc is not in order; says why.

    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for source in (*CLIENT.glob("*.js"), CLIENT / _WRITTEN_BY_HAND, CLIENT / "package.json"):
            shutil.copy(source, directory)
        options = {
            "allowJs": True,
            "checkJs": True,
            "declaration": True,
            "emitDeclarationOnly": True,
            "lib": ["es2023", "dom", "dom.iterable"],
            "types": [],
            "outDir": "made",
        }
        tsc(directory, options, [path.name for path in sorted(CLIENT.glob("*.js"))])
        found = (directory / "made").glob("*.d.ts")
        return {path.name: path.read_text(encoding="utf-8") for path in found}


def main() -> None:
    """Write them."""
    for name, text in made().items():
        (CLIENT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
