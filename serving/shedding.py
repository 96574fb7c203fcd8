"""No more calls at work than a process can carry: what is beyond is refused, not queued.

A queue only moves the wait to where nobody sees it, and holds what it keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from serving import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]


class Overloaded(errors.Unavailable):
    """As many calls are at work as may be.

    The reason is one that callers know, and that says the same to them: nothing
    is wrong with the request, and a moment later it may pass.
    """

    reason = "UPSTREAM_UNAVAILABLE"
    message = "Too many requests are under way; try again."


class Shedding(grpc.aio.ServerInterceptor):
    """Lets at most `max_concurrent` unary calls work; further ones end in Overloaded.

    To stand after RequestInterceptor, which renders that. Health and reflection
    pass, and so does what is `exempt` (full names, as `/package.Service/Method`):
    a server that is busy must be able to say that it is well.
    """

    def __init__(self, max_concurrent: int, exempt: frozenset[str] = frozenset()) -> None:
        self._free = max_concurrent
        self._exempt = exempt

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Count what the method's handler has at work."""
        method: str = handler_call_details.method
        handler = await continuation(handler_call_details)
        if (
            handler is None
            or handler.unary_unary is None
            or method.startswith("/grpc.")
            or method in self._exempt
        ):
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._counted(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _counted(self, behavior: Behavior) -> Behavior:
        async def counted(request: Any, context: Context) -> Any:
            if self._free <= 0:
                raise Overloaded
            self._free -= 1
            try:
                return await behavior(request, context)
            finally:
                self._free += 1

        return counted
