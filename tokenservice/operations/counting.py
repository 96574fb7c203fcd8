"""Counts what became of requests for a token, where their answers pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from serving.errors import Internal, ServiceError
from tokenservice.operations.activity import TOKENSERVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenservice.operations.activity import Activity

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]

_CREATE_TOKEN = "/tokenservice.v1.TokenService/CreateToken"  # noqa: S105 - an RPC's name


class Counting(grpc.aio.ServerInterceptor):
    """Tells `activity` of refusals, and how long it all took.

    To stand before Shedding: what that refuses is refused.
    """

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Count the calls of one method."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method != _CREATE_TOKEN:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._counted(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _counted(self, behavior: Behavior) -> Behavior:
        timing = self._activity.hops[TOKENSERVICE].timing

        async def counted(request: Any, context: Context) -> Any:
            with timing():
                try:
                    return await behavior(request, context)
                except Exception as error:
                    told = error if isinstance(error, ServiceError) else Internal
                    self._activity.refuse(told.reason)
                    raise

        return counted
