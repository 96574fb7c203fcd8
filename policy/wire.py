"""Between decisions and their protobuf messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from policy.decisions import (
    Abusive,
    Blocked,
    CommitOutcome,
    Committed,
    Denied,
    InProgress,
    Lost,
    Noted,
    Outcome,
    Refused,
    Replayed,
    Reserved,
    Reused,
    Stats,
    Usage,
)
from policy.limits import Limit, Limits
from policy.record import next_allowed_at
from policy.rules import Client, Content, Mode, Rule
from policy.standing import Party
from policy.v1 import policy_pb2 as pb
from serving import addresses, errors

if TYPE_CHECKING:
    from policy.explain import Explanation
    from policy.judge import Ruling
    from policy.limits import Assessment
    from policy.rules import Finding, Rules
    from policy.standing import Standing

MAX_TIME_MS = 253_402_300_799_999  # the year 9999: beyond it a time is a mistake
_MAX_MODEL_CHARS = 1_000
_MAX_INSTRUCTION_CHARS = 10_000

_REASONS = {
    Limit.TOKENS_PER_HOUR: pb.Refusal.REASON_TOKENS_PER_HOUR,
    Limit.TOKENS_PER_DAY: pb.Refusal.REASON_TOKENS_PER_DAY,
    Limit.COOLDOWN: pb.Refusal.REASON_COOLDOWN,
    Limit.CONCURRENT_SESSIONS: pb.Refusal.REASON_CONCURRENT_SESSIONS,
}
_COUNTING = {Rule.VOLUME, Rule.IDENTICAL_REQUESTS, Rule.PARAMETER_ENUMERATION}
"""Rules that count tries."""
_BLOCKED = {
    Party.ADDRESS: pb.Refusal.REASON_ADDRESS_BLOCKED,
    Party.USER: pb.Refusal.REASON_USER_BLOCKED,
}


def timestamp(millis_since_epoch: int) -> Timestamp:
    """Return a time on the wire."""
    seconds, rest = divmod(millis_since_epoch, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def millis(field: str, time: Timestamp) -> int:
    """Return a time in milliseconds since the epoch, rounded down.

    Raises:
        InvalidArgument: It is before the epoch, or after the year 9999.

    """
    value: int = time.seconds * 1000 + time.nanos // 1_000_000
    if not 0 <= value <= MAX_TIME_MS:
        raise errors.InvalidArgument(field, "must be a time from 1970 to 9999")
    return value


def client(message: pb.Client) -> Client:
    """Return where a request came from."""
    headers = message.http_headers if message.HasField("http_headers") else None
    address = addresses.parsed(message.address) if message.address else None
    if message.address and address is None:
        raise errors.InvalidArgument("client.address", "must be an IP address")
    return Client(
        str(address) if address else None, None if headers is None else frozenset(headers.names)
    )


def content(message: pb.Content) -> Content:
    """Return what a caller chose, as far as rules look at it."""
    return Content(
        message.model[:_MAX_MODEL_CHARS], message.system_instruction[:_MAX_INSTRUCTION_CHARS]
    )


def reserve_response(ruling: Ruling) -> pb.ReserveResponse:
    """Return a decision on the wire."""
    answer = pb.ReserveResponse(
        decision_id=ruling.decision_id, degraded=ruling.degraded, tier=ruling.tier.name
    )
    match ruling.outcome:
        case Reserved(lease_until):
            answer.reservation.lease_expire_time.CopyFrom(timestamp(lease_until))
        case Replayed(sealed_result, usage):
            answer.replay.sealed_result = sealed_result
            answer.replay.usage.CopyFrom(usage_message(usage, ruling.tier.limits))
        case _ as refused:
            answer.refusal.CopyFrom(_refusal(refused))
    return answer


def explained(explanation: Explanation) -> pb.ReserveResponse:
    """Return the answer to a dry run."""
    answer = reserve_response(explanation.ruling)
    seen, rules = explanation.inspection, explanation.ruling.tier.rules
    now = seen.now
    answer.verdicts.append(_denied(denied=explanation.denied))
    looked_at = explanation.denied is not None  # an address was given
    answer.verdicts.append(_stood(Party.ADDRESS, seen.address, rules, now, known=looked_at))
    answer.verdicts.append(_stood(Party.USER, seen.user, rules, now))
    answer.verdicts.extend(_assessed(assessed, now) for assessed in explanation.limits)
    answer.verdicts.extend(_found(finding) for finding in explanation.findings)
    return answer


def _refusal(outcome: Outcome) -> pb.Refusal:
    refusal = pb.Refusal()
    match outcome:
        case Refused(verdict, now):
            refusal.reason = _REASONS[verdict.limit]
            refusal.limit_value = verdict.value
        case Abusive(rule, now):
            refusal.reason = pb.Refusal.REASON_ABUSE
            refusal.rule = rule.value
        case Blocked(offender, _, now):
            refusal.reason = _BLOCKED[offender.party]
        case InProgress(_, now):
            refusal.reason = pb.Refusal.REASON_REQUEST_IN_PROGRESS
        case Reused(now):
            refusal.reason = pb.Refusal.REASON_REQUEST_ID_REUSED
        case Denied():
            refusal.reason = pb.Refusal.REASON_ADDRESS_BLOCKED
            return refusal
        case Reserved() | Replayed() | Noted():
            raise AssertionError("not a refusal")
    until = next_allowed_at(outcome)
    if until is not None:
        refusal.next_allowed_time.CopyFrom(timestamp(until))
        refusal.retry_after_ms = max(0, until - now)
    return refusal


def _denied(*, denied: bool | None) -> pb.RuleVerdict:
    kind = pb.RuleVerdict
    known = kind.VERDICT_REFUSE if denied else kind.VERDICT_PASS
    return kind(
        rule="address_denied",
        mode=Mode.ENFORCE.value,
        verdict=kind.VERDICT_NOT_APPLICABLE if denied is None else known,
        observed=int(bool(denied)),
    )


def _stood(
    party: Party, standing: Standing, rules: Rules, now: int, *, known: bool = True
) -> pb.RuleVerdict:
    blocking = rules.blocking
    standing = standing.at(now, blocking.window_ms)
    kind = pb.RuleVerdict
    verdict = kind(
        rule=f"{party.value}_block",
        mode=rules.blocking_mode.value,
        verdict=(
            kind.VERDICT_NOT_APPLICABLE
            if not known
            else kind.VERDICT_REFUSE
            if standing.block
            else kind.VERDICT_PASS
        ),
        observed=len(standing.violations),
        threshold=blocking.violations,
        headroom=0 if standing.block else max(0, blocking.violations - len(standing.violations)),
    )
    if standing.block is not None:
        verdict.next_allowed_time.CopyFrom(timestamp(standing.block.ends(now)))
    return verdict


def _assessed(assessed: Assessment, now: int) -> pb.RuleVerdict:
    refuses = assessed.refuses(now)
    verdict = pb.RuleVerdict(
        rule=assessed.limit.value,
        mode=Mode.ENFORCE.value,
        verdict=pb.RuleVerdict.VERDICT_REFUSE if refuses else pb.RuleVerdict.VERDICT_PASS,
        observed=assessed.used,
        threshold=assessed.value,
        headroom=assessed.headroom(now),
    )
    if refuses and assessed.next_allowed_at is not None:
        verdict.next_allowed_time.CopyFrom(timestamp(assessed.next_allowed_at))
    return verdict


def _found(found: Finding) -> pb.RuleVerdict:
    kind = pb.RuleVerdict
    verdict = pb.RuleVerdict(
        rule=found.rule.value,
        mode=found.mode.value,
        verdict=(
            kind.VERDICT_NOT_APPLICABLE
            if not found.applies
            else kind.VERDICT_REFUSE
            if found.broken
            else kind.VERDICT_PASS
        ),
        observed=found.observed,
        threshold=found.threshold,
    )
    if found.rule in _COUNTING:
        verdict.headroom = max(0, int(found.threshold - found.observed))
    if found.broken and found.ends_at is not None:
        verdict.next_allowed_time.CopyFrom(timestamp(found.ends_at))
    return verdict


def commit_response(outcome: CommitOutcome, limits: Limits) -> pb.CommitResponse:
    """Return a commit's outcome on the wire."""
    match outcome:
        case Committed(usage):
            return pb.CommitResponse(
                outcome=pb.CommitResponse.OUTCOME_COMMITTED, usage=usage_message(usage, limits)
            )
        case Lost():
            return pb.CommitResponse(outcome=pb.CommitResponse.OUTCOME_LOST)


def usage_message(usage: Usage, limits: Limits) -> pb.Usage:
    """Return a user's usage on the wire."""
    message = pb.Usage(
        active_tokens=usage.active_tokens,
        tokens_last_hour=usage.tokens_last_hour,
        tokens_last_day=usage.tokens_last_day,
        limits=pb.Limits(
            tokens_per_hour=limits.tokens_per_hour,
            tokens_per_day=limits.tokens_per_day,
            cooldown_ms=limits.cooldown_ms,
            concurrent_sessions=limits.concurrent_sessions,
        ),
        by_limit=[_use(assessed, usage.now) for assessed in usage.by_limit],
    )
    if usage.next_allowed_at is not None:
        message.next_allowed_time.CopyFrom(timestamp(usage.next_allowed_at))
    return message


def _use(assessed: Assessment, now: int) -> pb.LimitUse:
    use = pb.LimitUse(limit=assessed.limit.value, value=assessed.value, used=assessed.used)
    if assessed.refuses(now) and assessed.next_allowed_at is not None:
        use.next_allowed_time.CopyFrom(timestamp(assessed.next_allowed_at))
    return use


def stats_response(stats: Stats) -> pb.GetStatsResponse:
    """Return the numbers of all users together on the wire."""
    return pb.GetStatsResponse(
        tokens_last_hour=stats.tokens_last_hour,
        tokens_last_day=stats.tokens_last_day,
        active_tokens=stats.active_tokens,
        active_users=stats.active_users,
        pending_reservations=stats.pending_reservations,
    )
