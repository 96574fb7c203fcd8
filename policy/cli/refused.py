"""`policy refused`: who was refused most of late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from policy.cli import options, text
from policy.cli.client import online
from policy.v1 import operator_pb2 as pb
from serving import terminal

if TYPE_CHECKING:
    from policy.cli.client import Operator


@click.command()
@click.option(
    "--most", default=10, show_default=True, type=click.IntRange(1, 100), help="How many."
)
@online
def refused(operator: Operator, *, most: int, as_json: bool) -> None:
    """List who was refused most in the last hour, by the policy that answers."""
    answer = operator.call("ListRefused", pb.ListRefusedRequest(page_size=most))
    if as_json:
        text.echo_message(answer)
        return
    now = options.now()
    since = terminal.moment(answer.since.ToMilliseconds())
    if not answer.parties:
        click.echo(f"Nobody was refused since {since}.")
        return
    click.echo(f"Refused since {since}:")
    rows = [
        [
            options.whose(each.party),
            str(each.refusals),
            terminal.when(each.last_time.ToMilliseconds(), now),
            terminal.plain(each.last_reason),
        ]
        for each in answer.parties
    ]
    click.echo(terminal.table(["WHO", "REFUSED", "LAST", "BY"], rows, right="1"))
