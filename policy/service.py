"""policy.v1.PolicyService: converts, asks the store, converts back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar

import structlog
from opentelemetry import trace

from policy import wire
from policy.decisions import Attempt
from policy.store import StoreUnavailable
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import errors, tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import grpc

    from policy.limits import Limits
    from policy.pseudonym import Pseudonyms
    from policy.store import Store

    Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")

log = structlog.get_logger(__name__)


class NoDecision(errors.Unavailable):
    """The store cannot answer."""

    reason = "POLICY_UNAVAILABLE"
    message = "The policy service cannot decide now."


class PolicyService(policy_pb2_grpc.PolicyServiceServicer):
    """Decides by the store's accounts and the configured limits."""

    def __init__(self, store: Store, limits: Limits, pseudonyms: Pseudonyms) -> None:
        """Charge accounts in `store`, named by `pseudonyms`, against `limits`."""
        self._store = store
        self._limits = limits
        self._pseudonyms = pseudonyms

    async def Reserve(self, request: pb.ReserveRequest, context: Context) -> pb.ReserveResponse:
        """Charge a user's quota, all of it or none."""
        attempt = self._attempt(request.key)
        if request.count < 1:
            raise errors.InvalidArgument("count", "must be 1 or more")
        decision = await _decided(
            self._store.reserve(attempt, request.fingerprint, request.count, self._limits)
        )
        decision_id = secrets.token_hex(8)
        answer = wire.reserve_response(decision_id, decision, self._limits)
        outcome = wire.outcome_name(decision)
        _note(decision_id, outcome)
        log.info("decision", decision_id=decision_id, outcome=outcome, user=attempt.user)
        return answer

    async def Commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitResponse:
        """Make a charge final."""
        attempt = self._attempt(request.key)
        expires = [wire.millis(time) for time in request.token_expire_times]
        if not expires:
            raise errors.InvalidArgument("token_expire_times", "must name at least one token")
        outcome = await _decided(
            self._store.commit(
                attempt,
                expires,
                request.sealed_result,
                wire.millis(request.sealed_expire_time),
                self._limits,
            )
        )
        return wire.commit_response(outcome, self._limits)

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        """Give a charge back, once."""
        attempt = self._attempt(request.key)
        return pb.ReleaseResponse(released=await _decided(self._store.release(attempt)))

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Read a user's usage."""
        user = self._pseudonyms.user(_required("subject", request.subject))
        usage = await _decided(self._store.usage(user, self._limits))
        return pb.GetUsageResponse(usage=wire.usage_message(usage, self._limits))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        """Read the numbers of all users together."""
        return wire.stats_response(await _decided(self._store.stats()))

    def _attempt(self, key: pb.ReservationKey) -> Attempt:
        subject = _required("key.subject", key.subject)
        request_id = _required("key.request_id", key.request_id)
        owner = _required("key.owner", key.owner)
        return Attempt(
            user=self._pseudonyms.user(subject),
            request=self._pseudonyms.request(subject, request_id),
            owner=owner,
        )


def _required(field: str, value: AnyStr) -> AnyStr:
    if not value:
        raise errors.InvalidArgument(field, "must be set")
    return value


async def _decided(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except StoreUnavailable as error:
        raise NoDecision from error


def _note(decision_id: str, outcome: str) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute(tracing.DECISION_ID, decision_id)
        span.set_attribute(tracing.DECISION, outcome)
