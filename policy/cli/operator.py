"""The commands about users and the policy in force: user, explain, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from policy.cli import explain as cli_explain, options, text
from policy.cli.client import online
from policy.v1 import operator_pb2 as pb, policy_pb2
from serving import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.cli.client import Operator


@click.group()
def user() -> None:
    """Show and reset a user."""


@user.command("show")
@options.user_options
@click.option("--tier", default="", help="The tier to judge by.")
@online
def user_show(operator: Operator, *, tier: str, as_json: bool, **names: str | None) -> None:
    """Show a user's usage, violations and block."""
    shown = operator.call("GetUser", pb.GetUserRequest(party=options.party(**names), tier=tier))
    if as_json:
        text.echo_message(shown)
        return
    used, most, now = shown.usage, shown.usage.limits, options.now()
    sessions = f" of {most.concurrent_sessions}" if most.concurrent_sessions else ""
    block = "none"
    if shown.HasField("block"):
        ends = terminal.when(shown.block.expire_time.ToMilliseconds(), now)
        block = f"until {ends}, by {terminal.plain(shown.block.actor)}: "
        block += terminal.plain(shown.block.reason)
    for name, value in (
        ("User", shown.user_pseudonym),
        ("Last hour", f"{used.tokens_last_hour} of {most.tokens_per_hour} tokens"),
        ("Last day", f"{used.tokens_last_day} of {most.tokens_per_day} tokens"),
        ("Unexpired", f"{used.active_tokens}{sessions}"),
        ("Cooldown", terminal.span(most.cooldown_ms) if most.cooldown_ms else "off"),
        ("Next token", _following(used, now)),
        *_by_limit(used, now),
        ("Violations", str(shown.violations)),
        ("Block", block),
    ):
        click.echo(f"{name:<12}{value}")


def _by_limit(used: policy_pb2.Usage, now: int) -> Iterator[tuple[str, str]]:
    for each in used.by_limit:
        yield "", f"{each.limit}: {_following(each, now)}"


def _following(use: policy_pb2.Usage | policy_pb2.LimitUse, now: int) -> str:
    if not use.HasField("next_allowed_time"):
        return "now"
    return terminal.when(use.next_allowed_time.ToMilliseconds(), now)


@user.command("reset")
@options.user_options
@options.why_options
@online
def user_reset(
    operator: Operator, *, reason: str, actor: str, as_json: bool, **names: str | None
) -> None:
    """Forget all that is known of a user: charges, attempts, violations, block."""
    answer = operator.call(
        "ResetUser", pb.ResetUserRequest(party=options.party(**names), reason=reason, actor=actor)
    )
    if as_json:
        text.echo_message(answer)
        return
    click.echo(f"Reset user {answer.user_pseudonym}.")


@click.command()
@click.option("--user", "subject", default="", help="Who would ask; none: somebody unknown.")
@click.option("--tier", default="", help="In which tier.")
@click.option("--address", default="", help="From which IP address.")
@click.option("--header", "headers", multiple=True, help="A header's name; repeat it for more.")
@click.option("--no-headers", is_flag=True, help="An HTTP request without any watched header.")
@click.option("--model", default="", help="For which model.")
@click.option("--instruction", default="", help="With which system instruction.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 100))
@online
def explain(
    operator: Operator,
    *,
    subject: str,
    tier: str,
    address: str,
    headers: tuple[str, ...],
    no_headers: bool,
    model: str,
    instruction: str,
    count: int,
    as_json: bool,
) -> None:
    """Tell what would be decided now for a new request, rule by rule. Changes nothing."""
    client = policy_pb2.Client(address=address)
    if headers or no_headers:
        client.http_headers.names.extend(name.lower() for name in headers)
    asked = pb.ExplainRequest(
        subject=subject,
        tier=tier,
        client=client,
        content=policy_pb2.Content(model=model, system_instruction=instruction),
        count=count,
    )
    answer = operator.call("Explain", asked)
    if as_json:
        text.echo_message(answer)
        return
    click.echo(cli_explain.explained(answer.decision, count, options.now()))


@click.command()
@online
def show(operator: Operator, *, as_json: bool) -> None:
    """Show the policy in force, as a policy file."""
    answer = operator.call("GetPolicy", pb.GetPolicyRequest())
    if as_json:
        text.echo_message(answer)
        return
    click.echo(
        f"# in force since {terminal.when(answer.load_time.ToMilliseconds(), options.now())}"
    )
    click.echo(f"# sha256 {answer.digest}")
    for number, problem in enumerate(answer.rejected.splitlines()):
        if not number:
            click.echo("# the newest file is not in force:")
        click.echo(f"#   {terminal.plain(problem)}")
    click.echo(answer.yaml, nl=not answer.yaml.endswith("\n"))
