"""A policy sidecar over gRPC that behaves: a ledger, and a line that can lose answers."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from ledger import Ledger, Verdict

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel
from tokenservice.policy_client import PolicyClient

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

LEASE_MS = 30_000
WAIT_MS = 1_500
"""What is left of everybody's cooldown in usage, whatever was issued."""
LATER = Timestamp(seconds=1_767_225_600)


def refusal(reason: pb.Refusal.Reason, **fields: Any) -> pb.Refusal:
    """Return a refusal; with `retry_after_ms` it also ends at some time."""
    if "retry_after_ms" in fields:
        fields["next_allowed_time"] = LATER
    return pb.Refusal(reason=reason, **fields)


class FakePolicy(policy_pb2_grpc.PolicyServiceServicer):
    """Keeps account, remembers what it was asked, and refuses what it is told to."""

    def __init__(self, limit: int = 1) -> None:
        """Grant each user `limit` tokens."""
        self.ledger = Ledger(limit)
        self.refusal: pb.Refusal | None = None
        self.degraded = False
        self.held: asyncio.Event | None = None
        """While there and not set, no answer is given."""
        self.lost: Counter[str] = Counter()
        """How many of a method's next answers are lost on the way."""
        self.heard: list[Any] = []
        self.metadata_keys: set[str] = set()
        """What all requests together had for metadata."""
        self._decisions = 0

    def all_heard(self, kind: type[T]) -> list[T]:
        """Return the requests of one type, in their order."""
        return [request for request in self.heard if isinstance(request, kind)]

    async def Reserve(  # noqa: N802 - gRPC's name
        self, request: pb.ReserveRequest, context: Context
    ) -> pb.ReserveResponse:
        """Decide."""
        answer = pb.ReserveResponse(
            decision_id=self._decision_id(), degraded=self.degraded, tier="default"
        )
        key = request.key
        if self.refusal is not None:
            answer.refusal.CopyFrom(self.refusal)
            return await self._send(request, answer, context)
        match self.ledger.reserve(key.subject, key.request_id, key.owner, request.fingerprint):
            case Verdict.CHARGED:
                answer.reservation.lease_expire_time.CopyFrom(LATER)
            case Verdict.COMMITTED_BEFORE:
                answer.replay.sealed_result = self.ledger.sealed(key.subject, key.request_id)
                answer.replay.usage.CopyFrom(self._usage(key.subject))
            case Verdict.FULL:
                full = refusal(pb.Refusal.REASON_TOKENS_PER_HOUR, limit_value=self.ledger.limit)
                answer.refusal.CopyFrom(full)
            case Verdict.IN_PROGRESS:
                reason = pb.Refusal.REASON_REQUEST_IN_PROGRESS
                answer.refusal.CopyFrom(refusal(reason, retry_after_ms=LEASE_MS))
            case Verdict.REUSED:
                answer.refusal.CopyFrom(refusal(pb.Refusal.REASON_REQUEST_ID_REUSED))
        return await self._send(request, answer, context)

    async def Commit(  # noqa: N802 - gRPC's name
        self, request: pb.CommitRequest, context: Context
    ) -> pb.CommitResponse:
        """Make a charge final."""
        key = request.key
        kept = self.ledger.commit(key.subject, key.request_id, key.owner, request.sealed_result)
        outcome = pb.CommitResponse.OUTCOME_COMMITTED if kept else pb.CommitResponse.OUTCOME_LOST
        answer = pb.CommitResponse(outcome=outcome, usage=self._usage(key.subject))
        return await self._send(request, answer, context)

    async def Release(  # noqa: N802 - gRPC's name
        self, request: pb.ReleaseRequest, context: Context
    ) -> pb.ReleaseResponse:
        """Give a charge back."""
        key = request.key
        released = self.ledger.release(key.subject, key.request_id, key.owner)
        return await self._send(request, pb.ReleaseResponse(released=released), context)

    async def Report(  # noqa: N802 - gRPC's name
        self, request: pb.ReportRequest, context: Context
    ) -> pb.ReportResponse:
        """Hear of an attempt."""
        answer = pb.ReportResponse(decision_id=self._decision_id())
        return await self._send(request, answer, context)

    async def GetUsage(  # noqa: N802 - gRPC's name
        self, request: pb.GetUsageRequest, context: Context
    ) -> pb.GetUsageResponse:
        """Tell a user's usage."""
        answer = pb.GetUsageResponse(usage=self._usage(request.subject))
        return await self._send(request, answer, context)

    async def GetStats(  # noqa: N802 - gRPC's name
        self, request: pb.GetStatsRequest, context: Context
    ) -> pb.GetStatsResponse:
        """Tell that there is nothing to tell."""
        return await self._send(request, pb.GetStatsResponse(), context)

    async def _send(self, request: Any, answer: T, context: Context) -> T:
        self.heard.append(request)
        self.metadata_keys |= {str(key) for key, _ in context.invocation_metadata() or ()}
        if self.held is not None:
            await self.held.wait()
        method = type(request).__name__.removesuffix("Request")
        if self.lost[method]:
            self.lost[method] -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        return answer

    def _usage(self, subject: str) -> pb.Usage:
        issued, limit = self.ledger.issued(subject), self.ledger.limit
        limits = pb.Limits(tokens_per_hour=limit, tokens_per_day=limit)
        return pb.Usage(
            active_tokens=issued,
            tokens_last_hour=issued,
            tokens_last_day=issued,
            limits=limits,
            by_limit=[
                pb.LimitUse(limit="tokens_per_hour", value=limit, used=issued),
                pb.LimitUse(limit="cooldown", value=300_000, used=WAIT_MS, next_allowed_time=LATER),
            ],
        )

    def _decision_id(self) -> str:
        self._decisions += 1
        return f"d-{self._decisions}"


@asynccontextmanager
async def policy_client(
    policy: FakePolicy,
    address: str,
    *,
    timeout: float = 30,  # noqa: ASYNC109 - the client's own
) -> AsyncIterator[PolicyClient]:
    """Serve `policy` at `address`, and yield a client of it."""
    server = grpc.aio.server()
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(policy, server)
    server.add_insecure_port(address)
    await server.start()
    async with open_channel(address) as channel:
        try:
            yield PolicyClient(channel, timeout=timeout)
        finally:
            if policy.held is not None:
                policy.held.set()
            await server.stop(grace=None)
