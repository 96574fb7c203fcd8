"""The scripts, one for each operation: each runs whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name under which the server keeps it."""

    name: str
    source: bytes
    sha: str


def script(name: str, source: str, common: str) -> Script:
    """Put a script together: its shebang, what all share, and the rest of it."""
    shebang, _, rest = source.partition("\n")
    if not shebang.startswith("#!lua"):
        raise ValueError(f"{name}: the first line says which flags the script has")
    whole = f"{shebang}\n{common}{rest}".encode()
    return Script(name, whole, hashlib.sha1(whole, usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Scripts:
    """All of them."""

    reserve: Script
    commit: Script
    release: Script
    observe: Script
    retract: Script
    offend: Script
    block: Script
    lift: Script
    forget: Script
    read: Script
    index: Script
    touch: Script


def load_scripts(change: dict[str, str] | None = None) -> Scripts:
    """Load all; `change` has other texts for some, by name: tests try what that breaks."""
    texts = {
        entry.name.removesuffix(".lua"): entry.read_text("utf-8")
        for entry in (files("policy.redis") / "lua").iterdir()
        if entry.name.endswith(".lua")
    }
    texts |= change or {}
    common = texts.pop("common")
    return Scripts(**{name: script(name, text, common) for name, text in texts.items()})
