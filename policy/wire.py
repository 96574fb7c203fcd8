"""Between decisions and their protobuf messages."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from policy.decisions import (
    CommitOutcome,
    Committed,
    Decision,
    InProgress,
    Lost,
    Refused,
    Replayed,
    Reserved,
    Reused,
    Stats,
    Usage,
)
from policy.limits import Limit, Limits
from policy.v1 import policy_pb2 as pb

_REASONS = {
    Limit.TOKENS_PER_HOUR: pb.Refusal.REASON_TOKENS_PER_HOUR,
    Limit.TOKENS_PER_DAY: pb.Refusal.REASON_TOKENS_PER_DAY,
    Limit.COOLDOWN: pb.Refusal.REASON_COOLDOWN,
    Limit.CONCURRENT_SESSIONS: pb.Refusal.REASON_CONCURRENT_SESSIONS,
}


def timestamp(millis_since_epoch: int) -> Timestamp:
    """Return a time on the wire."""
    seconds, rest = divmod(millis_since_epoch, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def millis(time: Timestamp) -> int:
    """Return a time in milliseconds since the epoch, rounded down."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def reserve_response(decision_id: str, decision: Decision, limits: Limits) -> pb.ReserveResponse:
    """Return a decision on the wire."""
    answer = pb.ReserveResponse(decision_id=decision_id)
    match decision:
        case Reserved(lease_until):
            answer.reservation.lease_expire_time.CopyFrom(timestamp(lease_until))
        case Replayed(sealed_result, usage):
            answer.replay.sealed_result = sealed_result
            answer.replay.usage.CopyFrom(usage_message(usage, limits))
        case Refused(verdict, now):
            answer.refusal.reason = _REASONS[verdict.limit]
            answer.refusal.limit_value = verdict.value
            if verdict.next_allowed_at is not None:
                _wait(answer.refusal, verdict.next_allowed_at, now)
        case InProgress(lease_until, now):
            answer.refusal.reason = pb.Refusal.REASON_REQUEST_IN_PROGRESS
            _wait(answer.refusal, lease_until, now)
        case Reused():
            answer.refusal.reason = pb.Refusal.REASON_REQUEST_ID_REUSED
    return answer


def outcome_name(decision: Decision) -> str:
    """Return a decision's name for logs and spans: a small, fixed set."""
    match decision:
        case Refused(verdict, _):
            return f"refused_{verdict.limit.value}"
        case Reserved():
            return "reserved"
        case Replayed():
            return "replayed"
        case InProgress():
            return "in_progress"
        case Reused():
            return "request_id_reused"


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
    )
    if usage.next_allowed_at is not None:
        message.next_allowed_time.CopyFrom(timestamp(usage.next_allowed_at))
    return message


def stats_response(stats: Stats) -> pb.GetStatsResponse:
    """Return the numbers of all users together on the wire."""
    return pb.GetStatsResponse(
        tokens_last_hour=stats.tokens_last_hour,
        tokens_last_day=stats.tokens_last_day,
        active_tokens=stats.active_tokens,
        active_users=stats.active_users,
        pending_reservations=stats.pending_reservations,
    )


def _wait(refusal: pb.Refusal, until: int, now: int) -> None:
    refusal.next_allowed_time.CopyFrom(timestamp(until))
    refusal.retry_after_ms = until - now
