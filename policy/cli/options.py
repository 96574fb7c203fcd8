"""Options that several commands have, and what they amount to."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from policy.v1 import operator_pb2 as pb
from policy.wire import timestamp
from serving import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.timestamp_pb2 import Timestamp


def _decorated(
    command: Callable[..., None], *decorators: Callable[[Any], Any]
) -> Callable[..., None]:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def user_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a user."""
    return _decorated(
        command,
        click.option("--user", "subject", help="A user, by the subject."),
        click.option("--user-pseudonym", help="A user, by the pseudonym."),
    )


def address_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take an address."""
    return _decorated(
        command,
        click.option("--address", help="An IP address; an IPv6 one stands for its /64."),
        click.option(
            "--address-pseudonym",
            help="An address, by its pseudonym. Whether it is exempt cannot be told.",
        ),
    )


def why_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a reason and who acts."""
    return _decorated(
        command,
        click.option("--reason", required=True, help="Why. It is kept: name nobody in it."),
        click.option(
            "--actor",
            envvar=["USER", "LOGNAME"],
            required=True,
            show_default="$USER",
            help="Who does it, for the log.",
        ),
    )


def party(**names: str | None) -> pb.Party:
    """Return the one who was named."""
    given = {field: name for field, name in names.items() if name is not None}
    if len(given) != 1:
        options = ", ".join(
            f"--{field.replace('subject', 'user').replace('_', '-')}" for field in names
        )
        raise click.UsageError(f"give one of {options}")
    return pb.Party(**given)


def now() -> int:
    """Return the time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def ending(lasting: str | None, until: str | None) -> Timestamp:
    """Return when what lasts so long, or until then, ends."""
    if (lasting is None) == (until is None):
        raise click.UsageError("give one of --for, --until")
    if lasting is not None:
        try:
            return timestamp(now() + terminal.duration(lasting))
        except ValueError as error:
            raise click.UsageError(f"--for: {error}") from error
    try:
        time_given = datetime.fromisoformat(until or "")
    except ValueError as error:
        raise click.UsageError("--until: must be like 2026-01-31T12:00:00Z") from error
    if time_given.tzinfo is None:
        raise click.UsageError("--until: must have a time zone, as in 2026-01-31T12:00:00Z")
    return timestamp(round(time_given.timestamp() * 1000))


def whose(named: pb.Party) -> str:
    """Return a party as an answer names it."""
    kind = "address" if named.address_pseudonym else "user"
    return f"{kind} {terminal.plain(named.address_pseudonym or named.user_pseudonym)}"
