"""tokenservice.v1.OperationsService: what operators watch, and the blocks they lift."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from serving.errors import PermissionDenied
from tokenservice.operations import wire
from tokenservice.v1 import operations_pb2 as pb, operations_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from serving.pseudonym import Pseudonyms
    from tokenservice.admission import Admission
    from tokenservice.call import Call
    from tokenservice.calls import Calls
    from tokenservice.operations.policy import PolicyOperator
    from tokenservice.operations.watching import Watching

    Context = grpc.aio.ServicerContext[Any, Any]


class OperationsService(operations_pb2_grpc.OperationsServiceServicer):
    """For operators, and nobody else."""

    def __init__(
        self,
        *,
        calls: Calls,
        admission: Admission,
        watching: Watching,
        policy: PolicyOperator,
        pseudonyms: Pseudonyms,
    ) -> None:
        """Read calls with `calls`; name operators to `policy` by `pseudonyms`."""
        self._calls = calls
        self._admission = admission
        self._watching = watching
        self._policy = policy
        self._pseudonyms = pseudonyms

    async def WatchOperations(
        self, request: pb.WatchOperationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchOperationsResponse]:
        """Tell again and again what became of the requests since the last message."""
        await self._operator(self._calls.read("WatchOperations", context))
        async with aclosing(self._watching.moments()) as moments:
            async for moment in moments:
                yield wire.moment(moment)

    async def ListRefused(
        self, request: pb.ListRefusedRequest, context: Context
    ) -> pb.ListRefusedResponse:
        """List who was refused most lately."""
        call = self._calls.read("ListRefused", context)
        await self._operator(call)
        asked = wire.refused_request(request)
        return wire.refused_response(await self._policy.refused(asked, call.deadline))

    async def ListBlocks(
        self, request: pb.ListBlocksRequest, context: Context
    ) -> pb.ListBlocksResponse:
        """List the blocks in force."""
        call = self._calls.read("ListBlocks", context)
        await self._operator(call)
        asked = wire.blocks_request(request)
        return wire.blocks_response(await self._policy.blocks(asked, call.deadline))

    async def LiftBlock(
        self, request: pb.LiftBlockRequest, context: Context
    ) -> pb.LiftBlockResponse:
        """Lift a block."""
        call = self._calls.read("LiftBlock", context)
        actor = await self._operator(call)
        asked = wire.lift_request(request, actor)
        answer = await self._policy.lift(asked, call.deadline)
        return pb.LiftBlockResponse(lifted=answer.lifted)

    async def _operator(self, call: Call) -> str:
        """Return the pseudonym of the operator who calls. Raises as Admission, PermissionDenied."""
        caller = await self._admission.caller(call)
        if not caller.principal.operator:
            raise PermissionDenied("Only operators may watch the service.")
        return self._pseudonyms.user(caller.principal.subject)
