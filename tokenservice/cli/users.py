"""`tokenservice users`: who may no longer use the service, however they prove themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from serving import terminal
from tokenservice.cli import options
from tokenservice.cli.store import now, with_registry

if TYPE_CHECKING:
    from tokenservice.identity.records import Denial
    from tokenservice.identity.registry import Registry


@click.group()
def users() -> None:
    """Deny users, and allow them again."""


@users.command("deny")
@click.argument("subject", type=options.subject)
@click.option(
    "--for", "lasting", type=options.duration, help="For how long: 12h, 30d; else for good."
)
@click.option(
    "--reason", type=options.text, required=True, help="Why. It is kept: name nobody in it."
)
@options.actor_option
@options.json_option
@with_registry
async def users_deny(
    registry: Registry,
    *,
    subject: str,
    lasting: int | None,
    reason: str,
    actor: str,
    as_json: bool,
) -> None:
    """Let a user no longer, whatever credentials they have. SUBJECT: - reads it."""
    denial = await registry.deny(subject, reason=reason, actor=actor, lasting_ms=lasting)
    if as_json:
        options.echo_json(_told(denial))
        return
    ends = "for good" if denial.until is None else f"until {terminal.when(denial.until, now())}"
    click.echo(f"Denied user {denial.user} {ends}: everywhere a moment from now.")


@users.command("allow")
@click.argument("subject", type=options.subject)
@options.actor_option
@options.json_option
@with_registry
async def users_allow(registry: Registry, *, subject: str, actor: str, as_json: bool) -> None:
    """Let a user again. SUBJECT: - reads it."""
    allowed = await registry.allow(subject, actor=actor)
    if as_json:
        options.echo_json({"user": registry.pseudonym(subject), "allowed": allowed})
        return
    click.echo("Allowed." if allowed else "The user was not denied.")


@users.command("denied")
@click.option("--all", "every", is_flag=True, help="Those too that have ended, for 30 days.")
@options.json_option
@with_registry
async def users_denied(registry: Registry, *, every: bool, as_json: bool) -> None:
    """List the users who may not, by their pseudonyms, the newest first."""
    found = [_told(denial) for denial in await registry.denials() if every or denial.holds(now())]
    if as_json:
        options.echo_json(found)
        return
    if not found:
        click.echo("Nobody is denied.")
        return
    header = ["USER", "SINCE", "BY", "UNTIL", "REASON"]
    fields = ["user", "denied_at", "denied_by", "until", "reason"]
    if every:
        header[4:4] = ["LIFTED", "BY"]
        fields[4:4] = ["lifted_at", "lifted_by"]
    rows = [[terminal.plain(each[field] or "-") for field in fields] for each in found]
    click.echo(terminal.table(header, rows))


def _told(denial: Denial) -> dict[str, Any]:
    return {
        "user": denial.user,
        "reason": denial.reason,
        "denied_at": options.moment(denial.denied_at),
        "denied_by": denial.denied_by,
        "until": options.moment(denial.until),
        "lifted_at": options.moment(denial.lifted_at),
        "lifted_by": denial.lifted_by,
    }
