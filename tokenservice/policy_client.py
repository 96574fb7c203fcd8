"""Policy over gRPC: one deadline, one span and one translation for every call."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from opentelemetry import trace

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import rpc_client, tracing
from serving.errors import DECISION_ID, ServiceError
from tokenservice import policy_wire as wire
from tokenservice.errors import PolicyUnavailable, token_may_exist

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from serving.recent import Timing
    from tokenservice.client_info import ClientInfo
    from tokenservice.deadline import Deadline
    from tokenservice.grant import TokenRequest
    from tokenservice.policy_port import Attempt, FleetStats, Replay, Usage
    from tokenservice.principal import Caller, Principal

log = structlog.get_logger(__name__)

_SERVICE: Final = "policy.v1.PolicyService"
_COMMIT_ATTEMPTS: Final = 2
_RELEASE_SECONDS: Final = 0.5


class PolicyClient:
    """Asks the policy sidecar at the other end of `channel`."""

    def __init__(
        self, channel: grpc.aio.Channel, *, timeout: float, timing: Timing = nullcontext
    ) -> None:
        """Give no call more than `timeout` seconds, whatever its deadline; measure each."""
        self._stub: policy_pb2_grpc.PolicyServiceAsyncStub = policy_pb2_grpc.PolicyServiceStub(
            channel
        )
        self._timeout = timeout
        self._timing = timing

    @asynccontextmanager
    async def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AsyncIterator[PolicyReservation]:
        """See Policy."""
        reservation = PolicyReservation(self, attempt, deadline)
        try:
            # An answer that is lost may have charged, so this is inside as well.
            await reservation.reserve()
            yield reservation
        except BaseException as error:
            reservation.failed(error)
            raise
        finally:
            await reservation.release_unless_settled()

    async def report_credentials(
        self, client: ClientInfo, fingerprint: bytes, deadline: Deadline
    ) -> str:
        """See Policy."""
        return await self._report(wire.credentials_rejected(client, fingerprint), deadline)

    async def report_request(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> str:
        """See Policy."""
        return await self._report(wire.request_rejected(caller, asked), deadline)

    async def usage(self, principal: Principal, deadline: Deadline) -> Usage:
        """See Policy."""
        request = pb.GetUsageRequest(subject=principal.subject, tier=principal.tier)
        answer = await self.call("GetUsage", request, deadline.remaining)
        return wire.usage(answer.usage)

    async def stats(self, deadline: Deadline) -> FleetStats:
        """See Policy."""
        return wire.stats(await self.call("GetStats", pb.GetStatsRequest(), deadline.remaining))

    async def call(self, method: str, request: Any, timeout_s: float) -> Any:
        """Call `method` within `timeout_s` seconds and this client's own timeout.

        Raises:
            PolicyUnavailable: Whatever went wrong: there is no decision.

        """
        with self._timing(), rpc_client.called(f"{_SERVICE}/{method}") as call:
            try:
                return await getattr(self._stub, method)(
                    request,
                    metadata=call.metadata,
                    timeout=min(self._timeout, timeout_s),
                )
            except grpc.aio.AioRpcError as error:
                code = error.code().name
                call.failed(code)
                log.warning("policy failed", method=method, code=code)
                raise PolicyUnavailable from error

    async def _report(self, report: pb.ReportRequest, deadline: Deadline) -> str:
        try:
            answer: pb.ReportResponse = await self.call("Report", report, deadline.remaining)
        except PolicyUnavailable:
            return ""  # and is in the log: the caller's answer does not depend on it
        _note(answer.decision_id)
        return answer.decision_id


class PolicyReservation:
    """A charge at the policy sidecar. See Reservation."""

    def __init__(self, client: PolicyClient, attempt: Attempt, deadline: Deadline) -> None:
        """Stand for what will be reserved for `attempt`."""
        self.decision_id = self.tier = ""
        self.replay: Replay | None = None
        self._client = client
        self._attempt = attempt
        self._deadline = deadline
        self._charged = False
        self._settled = False
        self._ambiguous = False

    async def reserve(self) -> None:
        """Charge, or raise why not."""
        request = wire.reserve_request(self._attempt)
        answer = await self._client.call("Reserve", request, self._deadline.remaining)
        self.decision_id, self.tier = answer.decision_id, answer.tier
        _note(answer.decision_id, tier=answer.tier, degraded=answer.degraded)
        match answer.WhichOneof("outcome"):
            case "reservation":
                self._charged = True
            case "replay":
                self._settled = True
                self.replay = wire.replay(answer.replay)
            case _:
                self._settled = True
                raise wire.refusal(answer.refusal)

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """See Reservation. Asked again if the answer is lost: it is idempotent."""
        request = wire.commit_request(self._attempt, expires, sealed_result, sealed_until)
        answer = await self._commit(request)
        self._settled = True  # committed, or somebody else's by now
        if answer.outcome != pb.CommitResponse.OUTCOME_COMMITTED:
            log.warning("commit lost", decision_id=self.decision_id)
            raise PolicyUnavailable
        return wire.usage(answer.usage)

    def failed(self, error: BaseException) -> None:
        """Take note of what ended the block, or kept it from beginning."""
        # Before a charge that we know of, nothing is minted.
        self._ambiguous = self._charged and token_may_exist(error)
        if self.decision_id and isinstance(error, ServiceError):
            error.metadata[DECISION_ID] = self.decision_id

    async def release_unless_settled(self) -> None:
        """Give the charge back; if that fails too, its lease will."""
        if self._settled:
            return
        request = wire.release_request(self._attempt, ambiguous=self._ambiguous)
        try:
            await self._client.call("Release", request, _RELEASE_SECONDS)
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


def _note(decision_id: str, *, tier: str = "", degraded: bool = False) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute(tracing.DECISION_ID, decision_id)
        if tier:
            span.set_attribute(tracing.TIER, tier)
        if degraded:
            span.set_attribute(tracing.DEGRADED, value=True)
    if degraded:
        log.warning("degraded decision", decision_id=decision_id)
