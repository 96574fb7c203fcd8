"""Every secret that existed in this test run, and where one of them was seen.

A text is searched in one pass, whatever the number of secrets: they are indexed
by their last characters, and looked up at each place of the text.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORTEST = 16
"""Shorter ones are not watched: `secret`, `key` and `auth_tokens/1` stand in many texts."""
_TAIL = 12
_JWT = re.compile(r"[\w-]+\.([\w-]+)\.([\w-]+)")
_URL_PASSWORD = re.compile(r"\w+://[^@/\s]*:([^@/\s]+)@")
_SECRET_VARIABLE = re.compile(r"\w+(?:_KEY|_SECRET|_TOKEN|_PASSWORD|_URL)(?:_FILE)?")
_SHOWN = 60


@dataclass(frozen=True)
class Leak:
    """Where a secret was seen; never the secret itself."""

    kind: str
    place: str
    around: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.kind} in {self.place}: {self.around!r}"


class Watch:
    """Knows secrets, and looks for them."""

    def __init__(self) -> None:
        """Know none."""
        self.leaks: list[Leak] = []
        self._by_tail: dict[str, dict[str, str]] = {}
        self._blind = 0

    def __len__(self) -> int:
        """Return how many texts are looked for."""
        return sum(map(len, self._by_tail.values()))

    def know(self, kind: str, secret: str | bytes) -> None:
        """Look for `secret` from now on: as a whole, and for what of it is a secret alone."""
        text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
        if parts := _JWT.fullmatch(text):
            self._add(f"claims of {kind}", parts[1])
            self._add(f"signature of {kind}", parts[2])
        elif found := _URL_PASSWORD.match(text):
            self._add(f"password in {kind}", found[1])
        elif "://" not in text:
            self._add(kind, text)

    def know_environment(self, variables: Mapping[str, str]) -> None:
        """Look for what the environment of a process names as its secrets."""
        for name, value in variables.items():
            if not _SECRET_VARIABLE.fullmatch(name):
                continue
            if not name.endswith("_FILE"):
                self.know(name, value)
            elif Path(value).is_file():
                self.know(name, Path(value).read_text(encoding="utf-8").strip())

    def look(self, place: str, *contents: Any) -> None:
        """Note each secret that is in `contents`, or in what they show of themselves."""
        if not self._blind:
            for content in contents:
                self.leaks += self.seen(place, content)

    def seen(self, place: str, content: Any) -> list[Leak]:
        """Return the secrets that are in `content`."""
        text = _text(content)
        by_tail = self._by_tail
        found = []
        for end in range(_TAIL, len(text) + 1):
            ending = by_tail.get(text[end - _TAIL : end])
            if ending is not None:
                for secret, kind in ending.items():
                    if text.endswith(secret, 0, end):
                        before = text[max(0, end - len(secret) - _SHOWN) : end - len(secret)]
                        around = f"{before}[…]{text[end : end + _SHOWN]}"
                        found.append(Leak(kind, place, self._without_secrets(around)))
        return found

    @contextmanager
    def blind(self) -> Iterator[None]:
        """See nothing while the block runs."""
        self._blind += 1
        try:
            yield
        finally:
            self._blind -= 1

    def _add(self, kind: str, secret: str) -> None:
        if len(secret) >= SHORTEST and len(set(secret)) > 2:  # no "xxxxxxxx"
            self._by_tail.setdefault(secret[-_TAIL:], {}).setdefault(secret, kind)

    def _without_secrets(self, text: str) -> str:
        for secrets in self._by_tail.values():
            for secret in secrets:
                text = text.replace(secret, "[…]")
        return text


WATCH = Watch()
"""The watch of this test run."""


def _text(content: Any) -> str:
    match content:
        case str():
            return content
        case bytes():
            return content.decode("latin-1")
        case _:
            return repr(content)
