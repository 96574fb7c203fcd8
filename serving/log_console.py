"""Log lines for people, in a terminal: aligned, short, and with nothing that moves a cursor."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_WIDTH = 12  # of tokenservice
_LEVEL_WIDTH = 7
_EVENT_WIDTH = 18
_NOT_SHOWN = frozenset({"timestamp", "level", "service", "event", "exception", "span_id"})
_PLAIN = re.compile(r"[^\s\"'=\\]+")
_LONG_ID = re.compile(r"[0-9a-f]{32,}")
_SHORT_ID = 8
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}


def as_text(event: Mapping[str, Any], *, colours: bool) -> str:
    """Return an event, of plain values, as a line; below it the traceback, if there is one."""

    def painted(shown: str, colour: str) -> str:
        return f"\x1b[{colour}m{shown}\x1b[0m" if colours and colour else shown

    level = str(event["level"])
    name = escaped(str(event["event"]))
    line = " ".join(
        [
            painted(str(event["timestamp"])[11:23] + "Z", "2"),
            escaped(str(event["service"])).ljust(_NAME_WIDTH),
            painted(level.ljust(_LEVEL_WIDTH), _COLOURS.get(level, "")),
            painted(name, "1") + " " * (_EVENT_WIDTH - len(name)),
            *(
                f"{painted(escaped(key) + '=', '2')}{_value(value)}"
                for key, value in event.items()
                if value is not None and key not in _NOT_SHOWN
            ),
        ]
    ).rstrip()
    traceback = str(event.get("exception", ""))
    return "\n".join([line, *(f"    | {escaped(each)}" for each in traceback.splitlines())])


def escaped(text: str) -> str:
    """Return text on one line, with what a terminal would obey spelled out."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _value(value: Any) -> str:
    if not isinstance(value, str):
        return escaped(json.dumps(value, ensure_ascii=False))
    if _LONG_ID.fullmatch(value):
        return f"{value[:_SHORT_ID]}…"
    if _PLAIN.fullmatch(value):
        return escaped(value)
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped(quoted)}"'
