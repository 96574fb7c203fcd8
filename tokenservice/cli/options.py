"""Options that several commands have, and what they amount to."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from serving import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_SUBJECT_CHARS = 255  # with the namespace of an issuer
_MAX_TEXT_CHARS = 200

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def subject(value: str) -> str:
    """Read a user's subject; `-` is for one on standard input, which no list of processes shows."""
    if value == "-":
        value = sys.stdin.readline().rstrip("\r\n")
    if not 0 < len(value) <= _MAX_SUBJECT_CHARS or not value.isprintable():
        raise click.BadParameter(f"must be 1 to {_MAX_SUBJECT_CHARS} printable characters")
    return value


def text(value: str) -> str:
    """Read words that are kept."""
    if len(value) > _MAX_TEXT_CHARS or not value.isprintable():
        raise click.BadParameter(f"must be at most {_MAX_TEXT_CHARS} printable characters")
    return value


def duration(value: str) -> int:
    """Read a length of time; return milliseconds."""
    try:
        millis = terminal.duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not millis:
        raise click.BadParameter("must be more than nothing")
    return millis


def actor_option(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take who acts."""
    return click.option(
        "--actor",
        type=text,
        envvar=["USER", "LOGNAME"],
        required=True,
        show_default="$USER",
        help="Who does it. It is kept.",
    )(command)


def echo_json(value: Any) -> None:
    """Print for a script."""
    click.echo(json.dumps(value, indent=2))


def moment(millis: int | None) -> str | None:
    """Return a time for a script (RFC 3339)."""
    return None if millis is None else terminal.moment(millis).replace(" ", "T")
