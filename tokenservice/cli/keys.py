"""`tokenservice keys`: creates, lists and revokes API keys."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from serving import terminal
from tokenservice.cli import options
from tokenservice.cli.store import now, with_registry
from tokenservice.identity import key_text
from tokenservice.identity.keyring import BrokenRow
from tokenservice.identity.registry import UnknownKey

if TYPE_CHECKING:
    from tokenservice.identity.records import ApiKey
    from tokenservice.identity.registry import Registry

_TIER = re.compile(r"[A-Za-z0-9_-]{0,64}")


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


def _tier(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not _TIER.fullmatch(value):
        raise click.BadParameter("must be 1 to 64 of A-Z a-z 0-9 _ -")
    return value


@keys.command("create")
@click.option(
    "--owner",
    type=options.subject,
    required=True,
    help="The subject that the key stands for; - reads it from standard input.",
)
@click.option("--tier", default="", callback=_tier, help="The tier of who uses it.")
@click.option("--operator", is_flag=True, help="Let it do what operators may.")
@click.option(
    "--expires",
    type=options.duration,
    required=True,
    help="After how long: 12h, 90d; at most 365d.",
)
@click.option("--label", type=options.text, default="", help="What it is for. It is kept.")
@options.actor_option
@options.json_option
@with_registry
async def keys_create(
    registry: Registry,
    *,
    owner: str,
    tier: str,
    operator: bool,
    expires: int,
    label: str,
    actor: str,
    as_json: bool,
) -> None:
    """Make a key. It goes to standard output, this once; what is said of it, to standard error."""
    try:
        text, key = await registry.create_key(
            owner, tier=tier, operator=operator, label=label, lifetime_ms=expires, actor=actor
        )
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    if as_json:
        options.echo_json({"key": text, **_told(registry, key, show_owner=False)})
    else:
        click.echo(text)
    ends = terminal.when(key.expires_at, now())
    click.echo(f"Made key {key.id}, which ends {ends}. It cannot be shown again.", err=True)


@keys.command("list")
@click.option("--show-owner", is_flag=True, help="Name owners, not their pseudonyms.")
@options.json_option
@with_registry
async def keys_list(registry: Registry, *, show_owner: bool, as_json: bool) -> None:
    """List all keys, those that end last first; those that have ended, for 30 days more."""
    found = [_told(registry, key, show_owner=show_owner) for key in await registry.keys()]
    if as_json:
        options.echo_json(found)
        return
    if not found:
        click.echo("No keys.")
        return
    header = ["ID", "STATE", "OWNER", "TIER", "OPERATOR", "EXPIRES", "CREATED", "BY", "LABEL"]
    rows = [
        [
            each["id"],
            each["state"],
            each["owner"],
            each["tier"] or "-",
            "yes" if each["operator"] else "no",
            each["expires_at"],
            each["created_at"],
            each["created_by"],
            each["label"],
        ]
        for each in found
    ]
    click.echo(terminal.table(header, [[terminal.plain(cell) for cell in row] for row in rows]))


@keys.command("revoke")
@click.argument("key")
@options.actor_option
@options.json_option
@with_registry
async def keys_revoke(registry: Registry, *, key: str, actor: str, as_json: bool) -> None:
    """Revoke a key for good. KEY is its id, or what a log shows of it; - reads it."""
    named = sys.stdin.readline() if key == "-" else key
    key_id = key_text.id_named(named)
    if key_id is None:
        raise click.UsageError("KEY: must be the id of a key, 12 letters and digits")
    try:
        revoked = await registry.revoke_key(key_id, actor=actor)
    except UnknownKey as error:
        raise click.ClickException(f"there is no key {key_id}") from error
    except BrokenRow as error:
        raise click.ClickException(f"key {key_id} cannot be read, and lets nobody in") from error
    if as_json:
        options.echo_json(_told(registry, revoked, show_owner=False))
        return
    click.echo(f"Revoked key {key_id}: refused everywhere a moment from now.")


def _told(registry: Registry, key: ApiKey, *, show_owner: bool) -> dict[str, Any]:
    return {
        "id": key.id,
        "state": _state(key),
        "owner": key.owner if show_owner else registry.pseudonym(key.owner),
        "tier": key.tier,
        "operator": key.operator,
        "label": key.label,
        "created_at": options.moment(key.created_at),
        "created_by": key.created_by,
        "expires_at": options.moment(key.expires_at),
        "revoked_at": options.moment(key.revoked_at),
        "revoked_by": key.revoked_by,
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at <= now() else "valid"
