"""`policy`: serves, or is an operator's tool.

The sidecar and its tool are one program, so that they are never of different
versions on one machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from policy.cli import (
    blocks as cli_blocks,
    offline as cli_offline,
    operator as cli_operator,
    refused as cli_refused,
)
from serving import commandline

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(invoke_without_command=True, context_settings={"max_content_width": 100})
@click.pass_context
def cli(context: click.Context) -> None:
    """Decide who gets a token. Without a command: serve."""
    if context.invoked_subcommand is None:
        serve_forever()


@cli.command()
def serve() -> None:
    """Serve until told to stop; docs/settings.md has the settings."""
    serve_forever()


for command in (
    cli_blocks.blocks,
    cli_refused.refused,
    cli_operator.user,
    cli_operator.explain,
    cli_operator.show,
    cli_offline.validate,
    cli_offline.replay,
):
    cli.add_command(command)


def serve_forever() -> NoReturn:
    """Run the sidecar."""
    from policy.__main__ import main as run  # noqa: PLC0415 - a tool needs no server's libraries

    run()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; what goes wrong is one line on standard error, and the exit code 1 or 2."""
    commandline.run(cli, "policy", arguments)
