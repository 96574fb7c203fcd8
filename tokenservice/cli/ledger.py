"""`tokenservice ledger`: who got this token, when, and why."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from serving import terminal
from serving.settings import SettingsError, load
from serving.stores import StoreUnavailable
from tokenservice.cli.store import BadSetting, now
from tokenservice.ledger import ports, telling
from tokenservice.ledger.jsonl import needle
from tokenservice.ledger.opening import names, open_source
from tokenservice.ledger.settings import LedgerSettings

if TYPE_CHECKING:
    from tokenservice.ledger.names import Names

NOTHING_FOUND = 3
"""The exit code of a search that finds no row."""

_MOST = 1_000_000


@click.group()
def ledger() -> None:
    """Search what became of requests for tokens."""


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    if value is None:
        return 0
    try:
        return now() - terminal.duration(value)
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(value)
    except ValueError:
        given = None
    if given is None or given.tzinfo is None:
        raise click.BadParameter("must be like 2h, 1d12h or 2026-01-31T12:00:00Z")
    return max(0, round(given.timestamp() * 1000))


@ledger.command()
@click.option("--token", help="The token, auth_tokens/…; - reads it from standard input.")
@click.option("--user", "subject", help="The user, by the subject; - reads it likewise.")
@click.option("--user-pseudonym", default="", help="The user, by the pseudonym.")
@click.option("--decision", default="", help="Policy's decision, as answers and logs name it.")
@click.option("--request", "request_id", help="The request, by its x-request-id.")
@click.option("--trace", default="", help="The trace, 32 hex digits.")
@click.option("--since", callback=_since, help="From when on: 2h ago, or 2026-01-31T12:00:00Z.")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    help="The newest so many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows, a line of JSON each.")
def find(
    *,
    token: str | None,
    subject: str | None,
    user_pseudonym: str,
    decision: str,
    request_id: str | None,
    trace: str,
    since: int,
    limit: int,
    as_json: bool,
) -> int:
    """Find the rows that have all of what is given, the newest first.

    Without options: the newest of all. The exit code is 3 if there is none. The ledger is
    that of TOKENSERVICE_LEDGER or TOKENSERVICE_STORE_URL, under TOKENSERVICE_HASH_KEY.
    """
    if subject is not None and user_pseudonym:
        raise click.UsageError("give one of --user, --user-pseudonym")
    settings, hashed = _ledger()
    query = ports.Query(
        token="" if token is None else hashed.token(_read(token, "--token").strip()),
        user=user_pseudonym if subject is None else hashed.user(_read(subject, "--user")),
        decision_id=decision,
        trace_id=trace.lower(),
        request_ids=frozenset()
        if request_id is None
        else frozenset({request_id, hashed.hidden_request(request_id)}),
        since=since,
        limit=limit,
    )
    try:
        rows = asyncio.run(_print(settings, query, as_json=as_json))
    except FileNotFoundError as error:
        raise click.ClickException(f"there is no ledger at {settings.ledger_path}") from error
    except OSError as error:
        raise click.ClickException(f"the ledger cannot be read: {error.strerror}") from error
    except StoreUnavailable as error:
        raise click.ClickException(f"the ledger is not available: {error}") from error
    if not rows:
        click.echo("No rows.", err=True)
    return 0 if rows else NOTHING_FOUND


async def _print(settings: LedgerSettings, query: ports.Query, *, as_json: bool) -> int:
    count = 0
    picked = next(filter(None, (query.token, query.decision_id, query.trace_id, query.user)), "")
    async with open_source(settings, needle(picked) if picked else b"") as source:
        async for entry in ports.find(source, query):
            if as_json:
                click.echo(entry.to_json())
            else:
                click.echo(("\n" if count else "") + telling.told(entry, now()))
            count += 1
    return count


def _ledger() -> tuple[LedgerSettings, Names]:
    try:
        settings = load(LedgerSettings)
        hashed = names(settings)
    except (SettingsError, ValueError) as error:
        raise BadSetting(str(error)) from error
    if settings.ledger_path is None and settings.ledger_stream is None:
        raise BadSetting(
            "there is no ledger: set TOKENSERVICE_LEDGER, or TOKENSERVICE_STORE_URL to a "
            "Redis, to what they are for the service"
        )
    return settings, hashed


def _read(value: str, option: str) -> str:
    if value == "-":
        value = sys.stdin.readline().rstrip("\r\n")  # a subject may begin and end with spaces
    elif option == "--token":
        click.echo(
            "Whoever lists processes here can see --token TOKEN: give - and write it instead.",
            err=True,
        )
    if not value:
        raise click.UsageError(f"{option}: there is none")
    return value
