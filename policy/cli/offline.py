"""The commands that need no running policy: validate, replay."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from policy.cli import text
from policy.cli.client import BadSetting
from policy.cli.replay import told
from policy.effective import EffectivePolicy, Tier
from policy.file.reading import PolicyFileError, parse
from policy.file.watch import reader
from policy.replay import replay as run
from policy.replay_log import merged, read
from serving import settings as serving_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def validate(*, file: Path, as_json: bool) -> None:
    """Check a policy file; one line for each problem.

    What the file leaves open is as this environment says, as where policy runs.
    """
    try:
        policy = _policy(file)
    except PolicyFileError as error:
        if as_json:
            text.echo_json({"valid": False, "problems": list(error.problems)})
        else:
            for problem in error.problems:
                click.echo(problem)
        click.get_current_context().exit(1)
    if as_json:
        text.echo_json({"valid": True, "problems": [], "digest": policy.digest})
    else:
        tiers = ", ".join(sorted(policy.tiers)) or "none"
        click.echo(f"{file} is valid. Tiers: {tiers}. sha256 {policy.digest}")


@click.command(short_help="Tell what another policy would have decided.")
@click.argument("decisions", nargs=-1, required=True, type=_FILE)
@click.option("--policy", "policy_file", required=True, type=_FILE, help="The policy to try.")
@click.option(
    "--examples", default=3, show_default=True, type=click.IntRange(0, 1000), help="Of each change."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(*, decisions: tuple[Path, ...], policy_file: Path, examples: int, as_json: bool) -> None:
    """Run logged decisions against another policy and tell what would change.

    Several files, of one rotated log or of several replicas, are read as one, in
    order of time.
    """
    try:
        policy = _policy(policy_file)
    except PolicyFileError as error:
        raise click.ClickException(
            f"{error.problems[0]} ({len(error.problems)} in all; see policy validate)"
        ) from error
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        files = [
            read(stack.enter_context(path.open(encoding="utf-8", errors="replace")), str(path))
            for path in decisions
        ]
        report = asyncio.run(run(merged(files), policy, examples=examples))
    if as_json:
        text.echo_json(asdict(report))
    else:
        click.echo(told(report))


def _policy(file: Path) -> EffectivePolicy:
    from policy.settings import PolicySettings  # noqa: PLC0415 - it knows Redis, and is slow

    try:
        limits = serving_settings.load(PolicySettings).limits
        content = reader(file)().decode()
    except serving_settings.SettingsError as error:
        raise BadSetting(str(error)) from error
    except UnicodeDecodeError as error:
        raise PolicyFileError([f"{file}: must be UTF-8 text"]) from error
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from error
    return parse(content, defaults=limits, degraded_defaults=Tier().degraded_limits, name=str(file))


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the judge say nothing: what it says is about now, and this is the past."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop])
    try:
        yield
    finally:
        structlog.configure(**before)
