"""Policy over gRPC: one deadline, one span and one translation for every call."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry import trace

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import tracing
from serving.errors import QuotaViolation
from tokenservice.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    PolicyUnavailable,
    RateLimitExceeded,
)
from tokenservice.policy_port import Attempt, FleetStats, Quota, Replay, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from serving.errors import ServiceError
    from tokenservice.deadline import Deadline

log = structlog.get_logger(__name__)

_SERVICE: Final = "policy.v1.PolicyService"
_COMMIT_ATTEMPTS: Final = 2
_RELEASE_SECONDS: Final = 0.5


class PolicyClient:
    """Asks the policy sidecar at the other end of `channel`."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout: float) -> None:
        """Give no call more than `timeout` seconds, whatever its deadline."""
        self._stub: policy_pb2_grpc.PolicyServiceAsyncStub = policy_pb2_grpc.PolicyServiceStub(
            channel
        )
        self._timeout = timeout

    @asynccontextmanager
    async def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AsyncIterator[PolicyReservation]:
        """See Policy."""
        key = pb.ReservationKey(
            subject=attempt.subject, request_id=attempt.request_id, owner=attempt.owner
        )
        request = pb.ReserveRequest(key=key, fingerprint=attempt.fingerprint, count=attempt.count)
        reservation = PolicyReservation(self, key, deadline)
        try:
            # An answer that is lost may have charged, so this is inside as well.
            await reservation.reserve(request)
            yield reservation
        finally:
            await reservation.release_unless_settled()

    async def usage(self, subject: str, deadline: Deadline) -> Usage:
        """See Policy."""
        request = pb.GetUsageRequest(subject=subject)
        answer = await self.call("GetUsage", request, deadline.remaining)
        return _usage(answer.usage)

    async def stats(self, deadline: Deadline) -> FleetStats:
        """See Policy."""
        answer = await self.call("GetStats", pb.GetStatsRequest(), deadline.remaining)
        return FleetStats(
            tokens_last_hour=answer.tokens_last_hour,
            tokens_last_day=answer.tokens_last_day,
            active_tokens=answer.active_tokens,
            active_users=answer.active_users,
            pending_reservations=answer.pending_reservations,
        )

    async def call(self, method: str, request: Any, timeout_s: float) -> Any:
        """Call `method` within `timeout_s` seconds and this client's own timeout.

        Raises:
            PolicyUnavailable: Whatever went wrong: there is no decision.

        """
        name = f"{_SERVICE}/{method}"
        carrier: dict[str, str] = {}
        attributes = {tracing.RPC_SYSTEM: "grpc", tracing.RPC_METHOD: name}
        with tracing.client_span(name, carrier, attributes) as span:
            try:
                return await getattr(self._stub, method)(
                    request,
                    metadata=tuple(carrier.items()),
                    timeout=min(self._timeout, timeout_s),
                )
            except grpc.aio.AioRpcError as error:
                code = error.code().name
                span.set_attribute(tracing.RPC_STATUS, code)
                tracing.fail(span, code)
                log.warning("policy failed", method=method, code=code)
                raise PolicyUnavailable from error


class PolicyReservation:
    """A charge at the policy sidecar. See Reservation."""

    def __init__(self, client: PolicyClient, key: pb.ReservationKey, deadline: Deadline) -> None:
        """Stand for what will be reserved under `key`."""
        self.decision_id = ""
        self.replay: Replay | None = None
        self._client = client
        self._key = key
        self._deadline = deadline
        self._settled = False

    async def reserve(self, request: pb.ReserveRequest) -> None:
        """Charge, or raise why not."""
        answer = await self._client.call("Reserve", request, self._deadline.remaining)
        self.decision_id = answer.decision_id
        _note(answer.decision_id)
        match answer.WhichOneof("outcome"):
            case "reservation":
                return
            case "replay":
                self._settled = True
                self.replay = _replay(answer.replay)
            case _:
                self._settled = True
                raise _refusal(answer.refusal)

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """See Reservation. Asked again if the answer is lost: it is idempotent."""
        request = pb.CommitRequest(
            key=self._key,
            token_expire_times=[_timestamp(millis) for millis in expires],
            sealed_result=sealed_result,
            sealed_expire_time=_timestamp(sealed_until),
        )
        answer = await self._commit(request)
        self._settled = True  # committed, or somebody else's by now
        if answer.outcome != pb.CommitResponse.OUTCOME_COMMITTED:
            log.warning("commit lost", decision_id=self.decision_id)
            raise PolicyUnavailable
        return _usage(answer.usage)

    async def release_unless_settled(self) -> None:
        """Give the charge back; if that fails too, its lease will."""
        if self._settled:
            return
        try:
            await self._client.call("Release", pb.ReleaseRequest(key=self._key), _RELEASE_SECONDS)
        except PolicyUnavailable:
            log.warning("release left to the lease", decision_id=self.decision_id)

    async def _commit(self, request: pb.CommitRequest) -> pb.CommitResponse:
        for left in range(_COMMIT_ATTEMPTS, 0, -1):
            share = self._deadline.remaining / left  # so that the last attempt has its time too
            try:
                answer: pb.CommitResponse = await self._client.call("Commit", request, share)
            except PolicyUnavailable:
                if left == 1:
                    raise
            else:
                return answer
        raise AssertionError("there is at least one attempt")


def _refusal(refusal: pb.Refusal) -> ServiceError:
    after = refusal.retry_after_ms / 1000 if refusal.HasField("next_allowed_time") else None
    value = refusal.limit_value
    match refusal.reason:
        case pb.Refusal.REASON_REQUEST_IN_PROGRESS:
            return IdempotencyKeyInUse(retry_after=after)
        case pb.Refusal.REASON_REQUEST_ID_REUSED:
            return IdempotencyKeyReused()
        case pb.Refusal.REASON_TOKENS_PER_HOUR:
            limit, words = "tokens_per_hour", f"{value} tokens per hour"
        case pb.Refusal.REASON_TOKENS_PER_DAY:
            limit, words = "tokens_per_day", f"{value} tokens per day"
        case pb.Refusal.REASON_COOLDOWN:
            limit, words = "cooldown", f"cooldown, try again in {math.ceil(after or 0)} seconds"
        case pb.Refusal.REASON_CONCURRENT_SESSIONS:
            limit, words = "concurrent_sessions", f"{value} concurrent sessions"
        case _:  # a reason of a newer policy: refused all the same
            limit, words = "unknown", "try again later"
    violation = QuotaViolation(limit, words)
    return RateLimitExceeded(f"Rate limit exceeded: {words}", violation, retry_after=after)


def _replay(replay: pb.Replay) -> Replay:
    return Replay(sealed_result=replay.sealed_result, usage=_usage(replay.usage))


def _usage(usage: pb.Usage) -> Usage:
    return Usage(
        active_tokens=usage.active_tokens,
        tokens_last_hour=usage.tokens_last_hour,
        tokens_last_day=usage.tokens_last_day,
        next_allowed_at=(
            usage.next_allowed_time.ToMilliseconds()
            if usage.HasField("next_allowed_time")
            else None
        ),
        quota=Quota(
            tokens_per_hour=usage.limits.tokens_per_hour,
            tokens_per_day=usage.limits.tokens_per_day,
            cooldown_ms=usage.limits.cooldown_ms,
            concurrent_sessions=usage.limits.concurrent_sessions,
        ),
    )


def _timestamp(millis: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(millis)
    return time


def _note(decision_id: str) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute(tracing.DECISION_ID, decision_id)
