"""What may stand in a log line: plain values of bounded size, with no secret in them."""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from serving.redacting import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINE_BYTES = 16_000
"""What reads standard error of containers cuts lines at 16 KiB, and then none of them parses."""

MAX_CHARS = 2_000
_TRIES = ((MAX_CHARS, 100), (200, 20), (40, 5))  # characters of a text, items of a list
_ESSENTIAL = 4
_MAX_DEPTH = 8
_MAX_KEY_CHARS = 100
_MAX_BITS = 64
# So much more is redacted than is shown: a secret that is cut off may look like none.
_MARGIN = 16_384
_SURROGATE = re.compile("[\ud800-\udfff]")


def as_json(event: Mapping[str, Any]) -> str:
    """Return one line of ASCII that any parser of JSON takes, whatever the event holds.

    The first four fields of an event are those that every line has.
    """
    for chars, items in _TRIES:
        line = json.dumps(plain(event, chars, items))
        if len(line) <= MAX_LINE_BYTES:
            return line
    kept = dict(list(plain(event, *_TRIES[-1]).items())[:_ESSENTIAL])
    return json.dumps(kept | {"cut": True})


def plain(event: Mapping[str, Any], chars: int = MAX_CHARS, items: int = 100) -> dict[str, Any]:
    """Return an event of text, numbers, lists and dicts alone, redacted and cut to size."""
    return {
        text(str(name), _MAX_KEY_CHARS): _plain(value, chars, items, _MAX_DEPTH)
        for name, value in event.items()
    }


def text(value: str, most: int) -> str:
    """Return at most `most` characters of a text, redacted, and how many there were."""
    length = len(value)
    if length > most:
        whole = length <= most + _MARGIN
        value = redact(value if whole else value[: most + _MARGIN])
        # The end of what was looked at may be the beginning of a secret.
        shown = min(most, len(value) if whole else max(0, len(value) - _MARGIN // 2))
        if not whole or shown < len(value):
            value = f"{value[:shown]}…[{length} characters]"
    else:
        value = redact(value)
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def _plain(value: Any, chars: int, items: int, depth: int) -> Any:  # noqa: PLR0911 - a table
    match value:
        case Enum():
            return _plain(value.value, chars, items, depth)
        case None | bool():
            return value
        case str():
            return text(str.__str__(value), chars)
        case int():
            big = value.bit_length() > _MAX_BITS
            return f"a number of {value.bit_length()} bits" if big else int(value)
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case dict() if depth:
            return {
                text(_shown(key), _MAX_KEY_CHARS): _plain(item, chars, items, depth - 1)
                for key, item in list(value.items())[:items]
            }
        case list() | tuple() | set() | frozenset() if depth:
            return [_plain(item, chars, items, depth - 1) for item in list(value)[:items]]
        case dict() | list() | tuple() | set() | frozenset():
            return "…"
        case _:
            return text(_shown(value), chars)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a line is written all the same
        return f"a {type(value).__name__} that cannot be shown: {type(error).__name__}"
