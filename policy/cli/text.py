"""How the command line writes times, tables and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def span(millis: int) -> str:
    """Return a length of time by its two largest units: `1 h 20 min`."""
    if millis < _UNITS[-1][0]:
        return f"{millis} ms"
    parts: list[str] = []
    for size, unit in _UNITS:
        count, millis = divmod(millis, size)
        if parts and not count:
            break
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:  # noqa: PLR2004 - a third would say nothing more
            break
    return " ".join(parts)


def moment(millis: int) -> str:
    """Return a time to the second: `2026-01-01 00:00:00Z`."""
    return f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def when(millis: int, now: int) -> str:
    """Return a time and how far off it is: `2026-01-01 00:00:00Z (in 1 h 20 min)`."""
    # What was asked to end in 1 d is not to read 23 h 59 min when the answer is there.
    off = f"in {span(millis - now + 999)}" if millis >= now else f"{span(now - millis)} ago"
    return f"{moment(millis)} ({off})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> str:
    """Return rows below a header; columns named in `right`, by their numbers, are of numbers."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if str(column) in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def plain(text: str) -> str:
    """Return foreign text without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)


def echo_json(value: Any) -> None:
    """Print for a script."""
    click.echo(json.dumps(value, indent=2))


def echo_message(message: Message) -> None:
    """Print a message for a script, by the API's own names."""
    echo_json(
        MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
