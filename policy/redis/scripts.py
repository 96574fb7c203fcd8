"""The scripts, one for each operation: each runs whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from serving.redis.link import Script


def script(name: str, source: str, common: str) -> Script:
    """Put a script together: its shebang, what all share, and the rest of it."""
    shebang, _, rest = source.partition("\n")
    return Script.of(name, f"{shebang}\n{common}{rest}")


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
