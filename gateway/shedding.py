"""No more RPCs at work than the gateway may have; further requests are refused at once.

What counts is RPCs, not requests: a client that is slow to send its body or to
take its answer holds a connection, and no place that others wait for.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from gateway.transcoding.calling import Caller, CallOptions, Reply, ReplyStream
from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.rules import Binding
from serving import metrics, rendering
from serving.shedding import Overloaded


class SheddingCaller:
    """Makes RPCs, at most `max_concurrent` at a time."""

    def __init__(self, call: Caller, max_concurrent: int, exempt: frozenset[str]) -> None:
        """Count all RPCs but `exempt` (full names, as `package.Service.Method`)."""
        self._call = call
        self._free = max_concurrent
        self._exempt = exempt
        metrics.SHED.add(0)

    async def unary(self, binding: Binding, request: Message, options: CallOptions) -> Reply:
        """Return the reply. Raises CallFailedError, UNAVAILABLE if there is no place."""
        with self._place(binding):
            return await self._call.unary(binding, request, options)

    @asynccontextmanager
    async def stream(
        self, binding: Binding, request: Message, options: CallOptions
    ) -> AsyncIterator[ReplyStream]:
        """Return the replies, which hold a place until they end. Raises CallFailedError."""
        with self._place(binding):
            async with self._call.stream(binding, request, options) as replies:
                yield replies

    @contextmanager
    def _place(self, binding: Binding) -> Iterator[None]:
        if binding.rpc.full_name in self._exempt:
            yield
            return
        if self._free <= 0:
            metrics.SHED.add()
            raise overloaded()
        self._free -= 1
        metrics.RPC_ACTIVE.add(1)
        try:
            yield
        finally:
            metrics.RPC_ACTIVE.add(-1)
            self._free += 1


def overloaded() -> CallFailedError:
    """Return what a request fails with that there is no place for: 503, and when to return."""
    error = Overloaded()
    status = status_pb2.Status.FromString(rendering.status_details(error))
    return CallFailedError(grpc.StatusCode.UNAVAILABLE, error.message, status)
