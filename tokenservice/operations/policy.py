"""Policy's operators' API over gRPC: with our operator key, on behalf of who is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2

from policy.v1 import operator_pb2 as pb, operator_pb2_grpc
from serving import rpc_client
from serving.errors import FailedPrecondition, InvalidArgument
from serving.rendering import DETAILS_KEY
from tokenservice.errors import PolicyUnavailable

if TYPE_CHECKING:
    from tokenservice.deadline import Deadline

log = structlog.get_logger(__name__)

SETTING: Final = "TOKENSERVICE_POLICY_OPERATOR_KEY"
_SERVICE: Final = "policy.v1.OperatorService"
_KEY_REFUSED: Final = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
_FIELDS: Final = {
    "party": "offender",
    "party.user_pseudonym": "offender.user",
    "party.address_pseudonym": "offender.address",
    "page_size": "pageSize",
    "page_token": "pageToken",
}
"""What callers call what policy calls so."""


class OperatorKeyNotSet(FailedPrecondition):
    """Tokenservice is no operator of policy's."""

    reason = "OPERATOR_KEY_NOT_SET"
    message = f"Policy cannot be asked: {SETTING} is not set where tokenservice runs."


class OperatorKeyRefused(FailedPrecondition):
    """Policy has another operator key, or none."""

    reason = "OPERATOR_KEY_REFUSED"
    message = f"Policy does not take the operator key that {SETTING} gives tokenservice."


class PolicyOperator:
    """Asks the policy sidecar at the other end of `channel` what operators may."""

    def __init__(self, channel: grpc.aio.Channel, key: str | None, *, timeout: float) -> None:
        """Show `key`, if there is one; give no call more than `timeout` seconds."""
        self._stub: operator_pb2_grpc.OperatorServiceAsyncStub = (
            operator_pb2_grpc.OperatorServiceStub(channel)
        )
        self._authorization = None if key is None else ("authorization", f"Bearer {key}")
        self._timeout = timeout

    async def refused(
        self, request: pb.ListRefusedRequest, deadline: Deadline
    ) -> pb.ListRefusedResponse:
        """Return who was refused most. Raises what `_call` does, as do the next two."""
        answer: pb.ListRefusedResponse = await self._call("ListRefused", request, deadline)
        return answer

    async def blocks(
        self, request: pb.ListBlocksRequest, deadline: Deadline
    ) -> pb.ListBlocksResponse:
        """Return the blocks in force, page by page."""
        answer: pb.ListBlocksResponse = await self._call("ListBlocks", request, deadline)
        return answer

    async def lift(self, request: pb.LiftBlockRequest, deadline: Deadline) -> pb.LiftBlockResponse:
        """Lift a block."""
        answer: pb.LiftBlockResponse = await self._call("LiftBlock", request, deadline)
        return answer

    async def _call(self, method: str, request: Any, deadline: Deadline) -> Any:
        """Call `method`.

        Raises:
            OperatorKeyNotSet: There is no key to call with.
            OperatorKeyRefused: Policy does not take it.
            InvalidArgument: Policy does not take a field; the caller's name of it is told.
            PolicyUnavailable: Whatever else went wrong.

        """
        if self._authorization is None:
            raise OperatorKeyNotSet
        with rpc_client.called(f"{_SERVICE}/{method}") as call:
            try:
                return await getattr(self._stub, method)(
                    request,
                    metadata=(*call.metadata, self._authorization),
                    timeout=min(self._timeout, deadline.remaining),
                )
            except grpc.aio.AioRpcError as error:
                call.failed(error.code().name)
                log.warning("policy failed", method=method, code=error.code().name)
                raise _outcome(error) from error


def _outcome(error: grpc.aio.AioRpcError) -> Exception:
    if error.code() in _KEY_REFUSED:
        return OperatorKeyRefused()
    bad = _bad_field(error) if error.code() is grpc.StatusCode.INVALID_ARGUMENT else None
    return bad or PolicyUnavailable()


def _bad_field(error: grpc.aio.AioRpcError) -> InvalidArgument | None:
    request = error_details_pb2.BadRequest()
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Unpack(request) and request.field_violations:
                first = request.field_violations[0]
                return InvalidArgument(_FIELDS.get(first.field, first.field), first.description)
    return None
