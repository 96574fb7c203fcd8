"""Between what issuing says to policy and the messages of policy.v1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from policy.v1 import policy_pb2 as pb
from serving.errors import QuotaViolation
from tokenservice.errors import (
    AbuseDetected,
    AddressBlocked,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    RateLimitExceeded,
    UserBlocked,
)
from tokenservice.policy_port import Attempt, FleetStats, LimitUse, Quota, Replay, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.errors import ServiceError
    from tokenservice.client_info import ClientInfo
    from tokenservice.grant import TokenRequest
    from tokenservice.principal import Caller

# No model or instruction that can be granted is longer; what was refused for its
# length is not worth a message that is refused for its own.
_MAX_MODEL_CHARS = 256
_MAX_INSTRUCTION_CHARS = 4096


def reserve_request(attempt: Attempt) -> pb.ReserveRequest:
    """Return the question whether an attempt may mint."""
    return pb.ReserveRequest(
        key=_key(attempt),
        fingerprint=attempt.fingerprint,
        count=attempt.count,
        tier=attempt.caller.principal.tier,
        client=_client(attempt.caller.client),
        content=_content(attempt.asked),
    )


def commit_request(
    attempt: Attempt, expires: Sequence[int], sealed_result: bytes, sealed_until: int
) -> pb.CommitRequest:
    """Return the word that an attempt has minted."""
    return pb.CommitRequest(
        key=_key(attempt),
        token_expire_times=[_timestamp(millis) for millis in expires],
        sealed_result=sealed_result,
        sealed_expire_time=_timestamp(sealed_until),
        tier=attempt.caller.principal.tier,
    )


def release_request(attempt: Attempt, *, ambiguous: bool) -> pb.ReleaseRequest:
    """Return the word that an attempt has not minted, or that nobody knows."""
    return pb.ReleaseRequest(
        key=_key(attempt), ambiguous=ambiguous, tier=attempt.caller.principal.tier
    )


def credentials_rejected(client: ClientInfo, fingerprint: bytes) -> pb.ReportRequest:
    """Return the report of wrong credentials."""
    return pb.ReportRequest(
        outcome=pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
        fingerprint=fingerprint,
        client=_client(client),
    )


def request_rejected(caller: Caller, asked: TokenRequest) -> pb.ReportRequest:
    """Return the report of a request that could not be granted."""
    return pb.ReportRequest(
        outcome=pb.ReportRequest.OUTCOME_REQUEST_REJECTED,
        subject=caller.principal.subject,
        tier=caller.principal.tier,
        fingerprint=asked.fingerprint,
        client=_client(caller.client),
        content=_content(asked),
    )


def refusal(refused: pb.Refusal) -> ServiceError:
    """Return the outcome that a refusal is."""
    after = refused.retry_after_ms / 1000 if refused.HasField("next_allowed_time") else None
    value = refused.limit_value
    match refused.reason:
        case pb.Refusal.REASON_REQUEST_IN_PROGRESS:
            return IdempotencyKeyInUse(retry_after=after)
        case pb.Refusal.REASON_REQUEST_ID_REUSED:
            return IdempotencyKeyReused()
        case pb.Refusal.REASON_ADDRESS_BLOCKED:
            return AddressBlocked(retry_after=after)
        case pb.Refusal.REASON_USER_BLOCKED:
            return UserBlocked(retry_after=after)
        case pb.Refusal.REASON_ABUSE:
            return AbuseDetected(refused.rule, retry_after=after)
        case pb.Refusal.REASON_TOKENS_PER_HOUR:
            limit, words = "tokens_per_hour", f"{value} tokens per hour"
        case pb.Refusal.REASON_TOKENS_PER_DAY:
            limit, words = "tokens_per_day", f"{value} tokens per day"
        case pb.Refusal.REASON_COOLDOWN:
            limit, words = "cooldown", f"cooldown, try again in {math.ceil(after or 0)} seconds"
            value = math.ceil(value / 1000)
        case pb.Refusal.REASON_CONCURRENT_SESSIONS:
            limit, words = "concurrent_sessions", f"{value} concurrent sessions"
        case _:  # a reason of a newer policy: refused all the same
            limit, words = "unknown", "try again later"
    violation = QuotaViolation(limit, words, value)
    return RateLimitExceeded(f"Rate limit exceeded: {words}", violation, retry_after=after)


def replay(replayed: pb.Replay) -> Replay:
    """Return what an earlier attempt left."""
    return Replay(sealed_result=replayed.sealed_result, usage=usage(replayed.usage))


def usage(used: pb.Usage) -> Usage:
    """Return a principal's usage."""
    return Usage(
        active_tokens=used.active_tokens,
        tokens_last_hour=used.tokens_last_hour,
        tokens_last_day=used.tokens_last_day,
        next_allowed_at=_next_allowed_at(used),
        quota=Quota(
            tokens_per_hour=used.limits.tokens_per_hour,
            tokens_per_day=used.limits.tokens_per_day,
            cooldown_ms=used.limits.cooldown_ms,
            concurrent_sessions=used.limits.concurrent_sessions,
        ),
        by_limit=tuple(
            LimitUse(each.limit, each.value, each.used, _next_allowed_at(each))
            for each in used.by_limit
        ),
    )


def stats(fleet: pb.GetStatsResponse) -> FleetStats:
    """Return the numbers of all principals together."""
    return FleetStats(
        tokens_last_hour=fleet.tokens_last_hour,
        tokens_last_day=fleet.tokens_last_day,
        active_tokens=fleet.active_tokens,
        active_users=fleet.active_users,
        pending_reservations=fleet.pending_reservations,
    )


def _key(attempt: Attempt) -> pb.ReservationKey:
    return pb.ReservationKey(
        subject=attempt.subject, request_id=attempt.request_id, owner=attempt.owner
    )


def _client(client: ClientInfo) -> pb.Client:
    headers = None if client.headers is None else pb.HttpHeaders(names=client.headers)
    return pb.Client(address=client.address, http_headers=headers)


def _content(asked: TokenRequest) -> pb.Content:
    return pb.Content(
        model=asked.model[:_MAX_MODEL_CHARS],
        system_instruction=(asked.system_instruction or "")[:_MAX_INSTRUCTION_CHARS],
    )


def _next_allowed_at(used: pb.Usage | pb.LimitUse) -> int | None:
    return used.next_allowed_time.ToMilliseconds() if used.HasField("next_allowed_time") else None


def _timestamp(millis: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(millis)
    return time
