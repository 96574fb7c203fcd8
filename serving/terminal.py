"""How the operators' commands write times and tables, and read lengths of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_MILLIS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d{1,6}[smhd])+")
_PART = re.compile(r"(\d+)([smhd])")


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


def duration(text: str) -> int:
    """Return a length of time in milliseconds: of `30m`, `2h`, `1d`, `1h30m`.

    Raises:
        ValueError: It is none; it says what one is like.

    """
    if not _DURATION.fullmatch(text):
        raise ValueError("must be like 30m, 2h, 1d or 1h30m")
    return sum(int(count) * _MILLIS[unit] for count, unit in _PART.findall(text))
