"""policy.v1.PolicyService: converts, asks the judge, converts back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar

import structlog

from policy import counting, record, spans, wire
from policy.account import Sealed
from policy.decisions import Attempt
from policy.judge import Request
from policy.operators.refused import MostRefused
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import errors
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import grpc

    from policy.explain import Explainer
    from policy.judge import Judge, Ruling
    from policy.record import Recorder
    from serving.clock import Clock
    from serving.pseudonym import Pseudonyms

    Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_COUNT = 100
_OWNER_BYTES = 8
_FINGERPRINT_BYTES = 4
_MAX_RESULT_BYTES = 8 * 1024


class NoDecision(errors.Unavailable):
    """The store cannot answer."""

    reason = "POLICY_UNAVAILABLE"
    message = "The policy service cannot decide now."


class PolicyService(policy_pb2_grpc.PolicyServiceServicer):
    """Decides, and accounts for what was decided."""

    def __init__(
        self,
        judge: Judge,
        explainer: Explainer,
        pseudonyms: Pseudonyms,
        recorder: Recorder,
        clock: Clock,
        *,
        refused: MostRefused | None = None,
    ) -> None:
        """Name everybody by `pseudonyms`, keep what was decided with `recorder`.

        `refused` hears who was refused.
        """
        self._judge = judge
        self._explainer = explainer
        self._pseudonyms = pseudonyms
        self._recorder = recorder
        self._clock = clock
        self._refused = refused or MostRefused(clock)
        counting.begin()

    async def Reserve(self, request: pb.ReserveRequest, context: Context) -> pb.ReserveResponse:
        """Charge a user's quota, all of it or none."""
        if not 1 <= request.count <= MAX_COUNT:
            raise errors.InvalidArgument("count", f"must be 1 to {MAX_COUNT}")
        asked = self._request(self._attempt(request.key), request, request.count)
        if request.dry_run:
            explanation = await decided(self._explainer.explain(asked))
            announce("dry_run", explanation.ruling, user=asked.attempt.user)
            return wire.explained(explanation)
        ruling = await decided(self._judge.reserve(asked))
        self._tell("decision", asked, ruling)
        return wire.reserve_response(ruling)

    async def Commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitResponse:
        """Make a charge final."""
        attempt = self._attempt(request.key)
        expires = [wire.millis("token_expire_times", time) for time in request.token_expire_times]
        if not 1 <= len(expires) <= MAX_COUNT:
            raise errors.InvalidArgument("token_expire_times", f"must be 1 to {MAX_COUNT} times")
        if len(request.sealed_result) > _MAX_RESULT_BYTES:
            raise errors.InvalidArgument("sealed_result", f"at most {_MAX_RESULT_BYTES} bytes")
        sealed = Sealed(
            request.sealed_result, wire.millis("sealed_expire_time", request.sealed_expire_time)
        )
        count, last = len(expires), max(expires)
        outcome = await decided(self._judge.commit(attempt, request.tier, count, last, sealed))
        counting.commit(outcome)
        spans.tell_commit(outcome)
        self._recorder.write(
            record.commit(self._clock(), attempt, count, last, outcome, sealed_until=sealed.until)
        )
        return wire.commit_response(outcome, self._judge.tier(request.tier).limits)

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        """Give a charge back, once."""
        attempt, ambiguous = self._attempt(request.key), request.ambiguous
        outcome = await decided(self._judge.release(attempt, request.tier, ambiguous=ambiguous))
        counting.release(outcome)
        self._recorder.write(record.release(self._clock(), attempt, outcome, ambiguous=ambiguous))
        return pb.ReleaseResponse(released=outcome is outcome.RELEASED)

    async def Report(self, request: pb.ReportRequest, context: Context) -> pb.ReportResponse:
        """Hear of an attempt that ended before a reservation."""
        match request.outcome:
            case pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED:
                ruling = await self._credentials_rejected(request)
            case pb.ReportRequest.OUTCOME_REQUEST_REJECTED:
                user = self._pseudonyms.user(_required("subject", request.subject))
                nothing = Attempt(user, b"", b"")
                asked = self._request(nothing, request, 1)
                ruling = await decided(self._judge.request_rejected(asked))
                self._tell("rejected", asked, ruling)
            case _:
                raise errors.InvalidArgument("outcome", "must be set")
        return pb.ReportResponse(decision_id=ruling.decision_id)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Read a user's usage."""
        user = self._pseudonyms.user(_required("subject", request.subject))
        usage = await decided(self._judge.usage(user, request.tier))
        limits = self._judge.tier(request.tier).limits
        return pb.GetUsageResponse(usage=wire.usage_message(usage, limits))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        """Read the numbers of all users together."""
        return wire.stats_response(await decided(self._judge.stats()))

    async def _credentials_rejected(self, request: pb.ReportRequest) -> Ruling:
        client = wire.client(request.client)
        address = self._pseudonyms.address(client.address) if client.address else None
        evidence = self._pseudonyms.credential(request.fingerprint)
        ruling = await decided(self._judge.credentials_rejected(client, address, evidence))
        announce("credentials", ruling, address=address)
        counting.ruling(ruling)
        self._refused.hear_credentials(address)
        self._recorder.write(
            record.credentials(self._clock(), ruling, address, evidence, self._judge.digest)
        )
        return ruling

    def _tell(self, event: str, request: Request, ruling: Ruling) -> None:
        announce(event, ruling, user=request.attempt.user)
        counting.ruling(ruling)
        self._refused.hear(request, ruling)
        self._recorder.write(
            record.decision(self._clock(), event, request, ruling, self._judge.digest)
        )

    def _request(
        self, attempt: Attempt, request: pb.ReserveRequest | pb.ReportRequest, count: int
    ) -> Request:
        client = wire.client(request.client)
        return Request(
            attempt=attempt,
            # Four bytes tell bodies apart well enough, and a store keeps many of them.
            fingerprint=hashlib.sha256(request.fingerprint).digest()[:_FINGERPRINT_BYTES],
            count=count,
            tier=request.tier,
            client=client,
            address=self._pseudonyms.address(client.address) if client.address else None,
            content=wire.content(request.content),
        )

    def _attempt(self, key: pb.ReservationKey) -> Attempt:
        subject = _required("key.subject", key.subject)
        request_id = _required("key.request_id", key.request_id)
        if len(key.owner) != _OWNER_BYTES:
            raise errors.InvalidArgument("key.owner", f"must be {_OWNER_BYTES} bytes")
        return Attempt(
            user=self._pseudonyms.user(subject),
            request=self._pseudonyms.request(subject, request_id),
            owner=key.owner,
        )


def announce(event: str, ruling: Ruling, **whose: str | None) -> None:
    """Put a decision, or what would be one, into the log and on the span."""
    outcome = record.outcome_name(ruling.outcome)
    spans.tell_decision(ruling, dry_run=event == "dry_run")
    log.info(
        event,
        decision_id=ruling.decision_id,
        outcome=outcome,
        tier=ruling.tier.name,
        **whose,
        **({"degraded": True} if ruling.degraded else {}),
        **({"shadow": shadow} if (shadow := _shadow(ruling)) else {}),
    )


def _shadow(ruling: Ruling) -> list[str]:
    """Name the rules that would have refused, were they enforced."""
    return [f.rule.value for f in ruling.findings if f.broken and not f.refuses]


def _required(field: str, value: AnyStr) -> AnyStr:
    if not value:
        raise errors.InvalidArgument(field, "must be set")
    return value


async def decided(answer: Awaitable[T]) -> T:
    """Return what the store answered, or raise NoDecision."""
    try:
        return await answer
    except StoreUnavailable as error:
        raise NoDecision from error
