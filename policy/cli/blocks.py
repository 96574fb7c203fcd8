"""`policy blocks`: lists, adds and lifts blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from policy.cli import options, text
from policy.cli.client import online
from policy.v1 import operator_pb2 as pb
from serving import terminal

if TYPE_CHECKING:
    from policy.cli.client import Operator

_PAGE = 1_000


@click.group()
def blocks() -> None:
    """List, add and lift blocks."""


@blocks.command("list")
@online
def blocks_list(operator: Operator, *, as_json: bool) -> None:
    """List the blocks in force, those that end last first."""
    found = pb.ListBlocksResponse()
    token = ""
    while True:
        page = operator.call("ListBlocks", pb.ListBlocksRequest(page_size=_PAGE, page_token=token))
        found.blocks.extend(page.blocks)
        token = page.next_page_token
        if not token:
            break
    if as_json:
        text.echo_message(found)
        return
    if not found.blocks:
        click.echo("No blocks.")
        return
    now = options.now()
    rows = [
        [
            options.whose(block.party),
            terminal.when(block.expire_time.ToMilliseconds(), now),
            terminal.moment(block.create_time.ToMilliseconds()),
            terminal.plain(block.actor),
            terminal.plain(block.reason),
        ]
        for block in found.blocks
    ]
    click.echo(terminal.table(["WHO", "UNTIL", "SINCE", "BY", "REASON"], rows))


@blocks.command("add")
@options.user_options
@options.address_options
@click.option("--for", "lasting", help="For how long: 30m, 2h, 1d.")
@click.option("--until", help="Until when: 2026-01-31T12:00:00Z.")
@options.why_options
@online
def blocks_add(
    operator: Operator,
    *,
    lasting: str | None,
    until: str | None,
    reason: str,
    actor: str,
    as_json: bool,
    **names: str | None,
) -> None:
    """Block a user or an address; replaces a block it has."""
    answer = operator.call(
        "AddBlock",
        pb.AddBlockRequest(
            party=options.party(**names),
            reason=reason,
            expire_time=options.ending(lasting, until),
            actor=actor,
        ),
    )
    if as_json:
        text.echo_message(answer)
        return
    ends = terminal.when(answer.block.expire_time.ToMilliseconds(), options.now())
    click.echo(f"Blocked {options.whose(answer.block.party)} until {ends}.")


@blocks.command("lift")
@options.user_options
@options.address_options
@options.why_options
@online
def blocks_lift(
    operator: Operator, *, reason: str, actor: str, as_json: bool, **names: str | None
) -> None:
    """Lift a block and forget the violations behind it."""
    answer = operator.call(
        "LiftBlock", pb.LiftBlockRequest(party=options.party(**names), reason=reason, actor=actor)
    )
    if as_json:
        text.echo_message(answer)
        return
    click.echo("Lifted." if answer.lifted else "There was no block.")
