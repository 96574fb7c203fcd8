"""The commands that ask a running policy: blocks, user, explain, show."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from policy import cli_explain, cli_text as text
from policy.cli_client import online
from policy.v1 import operator_pb2 as pb, policy_pb2
from policy.wire import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.timestamp_pb2 import Timestamp

    from policy.cli_client import Operator

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d{1,6}[smhd])+")
_PART = re.compile(r"(\d+)([smhd])")
_PAGE = 1_000


@click.group()
def blocks() -> None:
    """List, add and lift blocks."""


@click.group()
def user() -> None:
    """Show and reset a user."""


def _decorated(
    command: Callable[..., None], *decorators: Callable[[Any], Any]
) -> Callable[..., None]:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def _user_options(command: Callable[..., None]) -> Callable[..., None]:
    return _decorated(
        command,
        click.option("--user", "subject", help="A user, by the subject."),
        click.option("--user-pseudonym", help="A user, by the pseudonym."),
    )


def _address_options(command: Callable[..., None]) -> Callable[..., None]:
    return _decorated(
        command,
        click.option("--address", help="An IP address; an IPv6 one stands for its /64."),
        click.option("--address-pseudonym", help="An address, by its pseudonym."),
    )


def _why_options(command: Callable[..., None]) -> Callable[..., None]:
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


def _party(**names: str | None) -> pb.Party:
    given = {field: name for field, name in names.items() if name is not None}
    if len(given) != 1:
        options = ", ".join(
            f"--{field.replace('subject', 'user').replace('_', '-')}" for field in names
        )
        raise click.UsageError(f"give one of {options}")
    return pb.Party(**given)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _until(lasting: str | None, until: str | None) -> Timestamp:
    if (lasting is None) == (until is None):
        raise click.UsageError("give one of --for, --until")
    if lasting is not None:
        if not _DURATION.fullmatch(lasting):
            raise click.UsageError("--for: must be like 30m, 2h, 1d or 1h30m")
        millis = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(lasting))
        return timestamp(_now() + millis)
    try:
        time_given = datetime.fromisoformat(until or "")
    except ValueError as error:
        raise click.UsageError("--until: must be like 2026-01-31T12:00:00Z") from error
    if time_given.tzinfo is None:
        raise click.UsageError("--until: must have a time zone, as in 2026-01-31T12:00:00Z")
    return timestamp(round(time_given.timestamp() * 1000))


def _whose(party: pb.Party) -> str:
    kind = "address" if party.address_pseudonym else "user"
    return f"{kind} {text.plain(party.address_pseudonym or party.user_pseudonym)}"


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
    now = _now()
    rows = [
        [
            _whose(block.party),
            text.when(block.expire_time.ToMilliseconds(), now),
            text.moment(block.create_time.ToMilliseconds()),
            text.plain(block.actor),
            text.plain(block.reason),
        ]
        for block in found.blocks
    ]
    click.echo(text.table(["WHO", "UNTIL", "SINCE", "BY", "REASON"], rows))


@blocks.command("add")
@_user_options
@_address_options
@click.option("--for", "lasting", help="For how long: 30m, 2h, 1d.")
@click.option("--until", help="Until when: 2026-01-31T12:00:00Z.")
@_why_options
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
            party=_party(**names), reason=reason, expire_time=_until(lasting, until), actor=actor
        ),
    )
    if as_json:
        text.echo_message(answer)
        return
    ends = text.when(answer.block.expire_time.ToMilliseconds(), _now())
    click.echo(f"Blocked {_whose(answer.block.party)} until {ends}.")


@blocks.command("lift")
@_user_options
@_address_options
@_why_options
@online
def blocks_lift(
    operator: Operator, *, reason: str, actor: str, as_json: bool, **names: str | None
) -> None:
    """Lift a block and forget the violations behind it."""
    answer = operator.call(
        "LiftBlock", pb.LiftBlockRequest(party=_party(**names), reason=reason, actor=actor)
    )
    if as_json:
        text.echo_message(answer)
        return
    click.echo("Lifted." if answer.lifted else "There was no block.")


@user.command("show")
@_user_options
@click.option("--tier", default="", help="The tier to judge by.")
@online
def user_show(operator: Operator, *, tier: str, as_json: bool, **names: str | None) -> None:
    """Show a user's usage, violations and block."""
    shown = operator.call("GetUser", pb.GetUserRequest(party=_party(**names), tier=tier))
    if as_json:
        text.echo_message(shown)
        return
    used, most, now = shown.usage, shown.usage.limits, _now()
    sessions = f" of {most.concurrent_sessions}" if most.concurrent_sessions else ""
    following = (
        text.when(used.next_allowed_time.ToMilliseconds(), now)
        if used.HasField("next_allowed_time")
        else "now"
    )
    block = "none"
    if shown.HasField("block"):
        ends = text.when(shown.block.expire_time.ToMilliseconds(), now)
        block = f"until {ends}, by {text.plain(shown.block.actor)}: "
        block += text.plain(shown.block.reason)
    for name, value in (
        ("User", shown.user_pseudonym),
        ("Last hour", f"{used.tokens_last_hour} of {most.tokens_per_hour} tokens"),
        ("Last day", f"{used.tokens_last_day} of {most.tokens_per_day} tokens"),
        ("Unexpired", f"{used.active_tokens}{sessions} tokens"),
        ("Cooldown", text.span(most.cooldown_ms) if most.cooldown_ms else "off"),
        ("Next token", following),
        ("Violations", str(shown.violations)),
        ("Block", block),
    ):
        click.echo(f"{name:<12}{value}")


@user.command("reset")
@_user_options
@_why_options
@online
def user_reset(
    operator: Operator, *, reason: str, actor: str, as_json: bool, **names: str | None
) -> None:
    """Forget all that is known of a user: charges, attempts, violations, block."""
    answer = operator.call(
        "ResetUser", pb.ResetUserRequest(party=_party(**names), reason=reason, actor=actor)
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
    click.echo(cli_explain.explained(answer.decision, count, _now()))


@click.command()
@online
def show(operator: Operator, *, as_json: bool) -> None:
    """Show the policy in force, as a policy file."""
    answer = operator.call("GetPolicy", pb.GetPolicyRequest())
    if as_json:
        text.echo_message(answer)
        return
    click.echo(f"# in force since {text.when(answer.load_time.ToMilliseconds(), _now())}")
    click.echo(f"# sha256 {answer.digest}")
    for number, problem in enumerate(answer.rejected.splitlines()):
        if not number:
            click.echo("# the newest file is not in force:")
        click.echo(f"#   {text.plain(problem)}")
    click.echo(answer.yaml, nl=not answer.yaml.endswith("\n"))
