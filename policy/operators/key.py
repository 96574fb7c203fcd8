"""Who may call OperatorService: whoever has the operator key.

Checked in front of the whole service and not in its methods, so that one which
is added later cannot forget it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from policy.v1 import operator_pb2_grpc
from serving import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]

SETTING = "POLICY_OPERATOR_KEY"
_SCHEME = "bearer "


class NoOperatorKey(errors.PermissionDenied):
    """Nobody is an operator."""

    reason = "OPERATOR_KEY_NOT_SET"
    message = f"Nobody may call the operator service: {SETTING} is not set where policy runs."


class NotAnOperator(errors.Unauthenticated):
    """The caller has another key, or none."""

    reason = "NOT_AN_OPERATOR"
    message = "Calls to the operator service need the operator key."


def add_to_server(
    service: operator_pb2_grpc.OperatorServiceServicer, server: grpc.aio.Server, *, key: str | None
) -> None:
    """Let `server` offer `service` to those who have `key`. None: to nobody."""
    guarded: Any = _Guarded(service, key)
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(guarded, server)


class _Guarded:
    """A service whose every method, whichever it is asked for, looks at the key first."""

    def __init__(self, service: operator_pb2_grpc.OperatorServiceServicer, key: str | None) -> None:
        self._service = service
        self._key = None if key is None else _digest(key)

    def __getattr__(self, method: str) -> Behavior:
        behavior: Behavior = getattr(self._service, method)

        async def guarded(request: Any, context: Context) -> Any:
            self._check(context)
            return await behavior(request, context)

        return guarded

    def _check(self, context: Context) -> None:
        if self._key is None:
            raise NoOperatorKey
        given = [v for k, v in context.invocation_metadata() or () if k == "authorization"]
        if len(given) != 1 or not isinstance(given[0], str):
            raise NotAnOperator
        scheme, key = given[0][: len(_SCHEME)], given[0][len(_SCHEME) :]
        if scheme.lower() != _SCHEME or not hmac.compare_digest(_digest(key), self._key):
            raise NotAnOperator


def _digest(key: str) -> bytes:
    """Return what stands for a key: of one length, so that comparing does not tell the key's."""
    return hashlib.sha256(key.encode()).digest()
