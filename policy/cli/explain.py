"""A dry run in words: the decision in a sentence, and each rule's part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policy.limits import Limit
from policy.rules import Rule
from policy.standing import Party
from policy.v1 import policy_pb2 as pb
from serving import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_HEADROOM = {limit.value for limit in Limit} | {
    *(Rule.VOLUME, Rule.IDENTICAL_REQUESTS, Rule.PARAMETER_ENUMERATION),
    *(f"{party.value}_block" for party in Party),
}
_VERDICTS = {
    pb.RuleVerdict.VERDICT_PASS: "pass",
    pb.RuleVerdict.VERDICT_REFUSE: "REFUSE",
    pb.RuleVerdict.VERDICT_NOT_APPLICABLE: "–",  # noqa: RUF001 - a dash
}


def explained(decision: pb.ReserveResponse, count: int, now: int) -> str:
    """Return what would be decided for `count` tokens, and why."""
    rows = [_row(verdict, now) for verdict in decision.verdicts]
    header = ["RULE", "MODE", "VERDICT", "OBSERVED", "THRESHOLD", "HEADROOM", "WOULD PASS"]
    return f"{_sentence(decision, count, now)}\n\n{terminal.table(header, rows, right='345')}"


def _sentence(decision: pb.ReserveResponse, count: int, now: int) -> str:
    if decision.HasField("refusal"):
        return f"It would be refused: {'; '.join(_refusal(decision.refusal, now))}."
    shadows = ", ".join(
        verdict.rule
        for verdict in decision.verdicts
        if verdict.verdict == pb.RuleVerdict.VERDICT_REFUSE and verdict.mode == "shadow"
    )
    but = f", though {shadows} would refuse, were it not in shadow mode" if shadows else ""
    return f"It would be granted: {count} token{'s' if count > 1 else ''}{but}."


def _refusal(refusal: pb.Refusal, now: int) -> Iterator[str]:
    reasons = pb.Refusal
    value = refusal.limit_value
    match refusal.reason:
        case reasons.REASON_TOKENS_PER_HOUR:
            yield f"more than {value} tokens in an hour"
        case reasons.REASON_TOKENS_PER_DAY:
            yield f"more than {value} tokens in a day"
        case reasons.REASON_COOLDOWN:
            yield f"less than {terminal.span(value)} after the last token"
        case reasons.REASON_CONCURRENT_SESSIONS:
            yield f"more than {value} unexpired tokens"
        case reasons.REASON_ADDRESS_BLOCKED:
            yield "the address is blocked, or denied by the policy file"
        case reasons.REASON_USER_BLOCKED:
            yield "the user is blocked"
        case reasons.REASON_ABUSE:
            yield f"the rule {terminal.plain(refusal.rule)}"
        case _:
            yield reasons.Reason.Name(refusal.reason)
    if refusal.HasField("next_allowed_time"):
        yield f"it would pass at {terminal.when(refusal.next_allowed_time.ToMilliseconds(), now)}"
    else:
        yield "waiting would not help"


def _row(verdict: pb.RuleVerdict, now: int) -> list[str]:
    counts = verdict.rule in _WITH_HEADROOM
    applies = verdict.verdict != pb.RuleVerdict.VERDICT_NOT_APPLICABLE
    refuses = verdict.verdict == pb.RuleVerdict.VERDICT_REFUSE
    number = _millis if verdict.rule == Limit.COOLDOWN else _number
    passes = ""
    if verdict.HasField("next_allowed_time"):
        passes = terminal.when(verdict.next_allowed_time.ToMilliseconds(), now)
    elif refuses:
        passes = "not by waiting"
    return [
        terminal.plain(verdict.rule),
        terminal.plain(verdict.mode),
        _VERDICTS.get(verdict.verdict, "?"),
        number(verdict.observed) if applies else "",
        number(verdict.threshold) if applies else "",
        str(verdict.headroom) if counts and applies else "",
        passes,
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _millis(value: float) -> str:
    return terminal.span(int(value))
