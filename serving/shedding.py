"""No more calls at work than a process can carry: what is beyond is refused, not queued.

A queue only moves the wait to where nobody sees it, and holds what it keeps.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from serving import errors, metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]
    StreamBehavior = Callable[[Any, Context], AsyncGenerator[Any, None]]

MAX_STREAMS = 32
"""Answers in parts, at a time: who watches for minutes takes no place of a caller who
waits, and those who only try to watch take none of them either."""


class Overloaded(errors.Unavailable):
    """As many calls are at work as may be.

    The reason is one that callers know, and that says the same to them: nothing
    is wrong with the request, and a moment later it may pass.
    """

    reason = "UPSTREAM_UNAVAILABLE"
    message = "Too many requests are under way; try again."


class Places:
    """So many, of which each may be taken once at a time."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        metrics.SHED.add(0)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place for the block. Raises Overloaded where there is none."""
        if self.taken >= self.capacity:
            metrics.SHED.add()
            raise Overloaded
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Shedding(grpc.aio.ServerInterceptor):
    """Lets at most `max_concurrent` unary calls work; further ones end in Overloaded.

    Streams have places of their own. To stand after RequestInterceptor, which renders
    that. Health and reflection pass, and so does what is `exempt` (full names, as
    `/package.Service/Method`): a server that is busy must be able to say that it is well.
    """

    def __init__(self, max_concurrent: int, exempt: frozenset[str] = frozenset()) -> None:
        self.calls = Places(max_concurrent)
        self._streams = Places(MAX_STREAMS)
        self._exempt = exempt

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Count what the method's handler has at work."""
        method: str = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith("/grpc.") or method in self._exempt:
            return handler
        coding = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._counted(handler.unary_unary), **coding)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._counted_stream(handler.unary_stream), **coding
            )
        return handler

    def _counted(self, behavior: Behavior) -> Behavior:
        async def counted(request: Any, context: Context) -> Any:
            with self.calls.one():
                return await behavior(request, context)

        return counted

    def _counted_stream(
        self, behavior: StreamBehavior
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def counted(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._streams.one():
                async with aclosing(behavior(request, context)) as answers:
                    async for answer in answers:
                        yield answer

        return counted
