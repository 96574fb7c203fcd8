"""Which services may call which: by what their transport proves, not by what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from serving.errors import PermissionDenied
from serving.peers import peer_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.peers import Peer

    Context = grpc.aio.ServicerContext[Any, Any]

_OPEN = (health.SERVICE_NAME, reflection.SERVICE_NAME)


class CallerNotAllowed(PermissionDenied):
    """The caller's certificate, if it has one, names nobody who may call."""

    reason = "CALLER_NOT_ALLOWED"
    message = "This service may not call here."


class CallersInterceptor(grpc.aio.ServerInterceptor):
    """Lets only some call, once they are named: whoever reaches a Unix socket, and these.

    It goes after RequestInterceptor, which renders what it raises.
    """

    def __init__(self, allowed: Iterable[str], open_services: Iterable[str] = ()) -> None:
        """Allow peers with one of these identities; none named: whoever can connect.

        Args:
            allowed: As in Peer.identities.
            open_services: Services that ask for something else of their callers. Health
                and reflection are open besides.

        """
        self._allowed = frozenset(allowed)
        self._open = frozenset((*_OPEN, *open_services))

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wrap the method's handler, unless it is open to everybody."""
        handler = await continuation(handler_call_details)
        service = handler_call_details.method.rpartition("/")[0].removeprefix("/")
        if handler is None or not self._allowed or service in self._open:
            return handler
        if handler.unary_unary is None:
            return None  # we have no others; one that is added shall not be forgotten here
        behavior = handler.unary_unary

        async def checked(request: Any, context: Context) -> Any:
            if not self._may(peer_of(context)):
                raise CallerNotAllowed
            return await behavior(request, context)

        return grpc.unary_unary_rpc_method_handler(
            checked,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _may(self, peer: Peer) -> bool:
        return peer.unix or not self._allowed.isdisjoint(peer.identities)
