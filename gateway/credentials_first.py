"""Who calls is judged before what the fields of a body hold: the contract's order of checks.

Only the service can judge it. So it is asked even where there is no message to ask
it with: with another, which it refuses for its content and not without having seen
the credentials. That request is an attempt of the caller's like any that is refused
for its content, and of the user's whom a service names; so it has their names, the key
that the request has, and the name of the decision in its answer.
"""

import hashlib
import json
from collections.abc import Callable

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from starlette.requests import Request

from gateway import forwarding
from gateway.transcoding import receiving
from gateway.transcoding.calling import Caller, CallOptions
from gateway.transcoding.errors import CallFailedError, InvalidRequestError
from gateway.transcoding.rules import Binding
from tokenservice.v1 import tokenservice_pb2

_USER = ("onBehalfOf", "on_behalf_of")


class CredentialsFirst:
    """Asks the service whether who sent fields that are not valid may be told so."""

    def __init__(self, call: Caller, options: Callable[[Request], CallOptions]) -> None:
        """Make `call` with the `options` that the request's own would have had."""
        self._call = call
        self._options = options

    async def __call__(
        self, request: Request, binding: Binding, body: bytes, error: InvalidRequestError
    ) -> None:
        """Return if `error` is what the caller shall be told.

        Raises:
            CallFailedError: What it shall be told instead; or the same, with what the
                service has to say of it.
            RequestError: Likewise, of its headers.

        """
        fields = error.field and binding.body is not None and not request.scope["query_string"]
        if not fields:  # syntax, and what is no part of a message
            return
        message = _refused(binding, body, error)
        forwarding.idempotency_key(message, request.headers)
        call = self._call.unary(binding, message, self._options(request))
        try:
            await receiving.unless_disconnected(call, request.receive)
        except CallFailedError as failed:
            if failed.code is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            if failed.status is not None:  # else it says nothing that is not known
                raise _told(error, failed.status, failed) from error


def _refused(binding: Binding, body: bytes, error: InvalidRequestError) -> Message:
    """Return a message that is refused for its content, where the method charges anything.

    The same mistake makes the same message, and others others: so the rules against
    abuse see what they would have seen of the request itself.
    """
    message = binding.request_class()
    if isinstance(message, tokenservice_pb2.CreateTokenRequest):
        mistake = hashlib.sha256(repr((error.field, error.description)).encode())
        message.response_modality = f"none: {mistake.hexdigest()[:16]}"
        message.on_behalf_of = _user(body)
    return message


def _user(body: bytes) -> str:
    """Return the user whom a body names, whatever else is wrong with it; "" if it names none."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    named = [tree.get(name) for name in _USER] if isinstance(tree, dict) else []
    return next((name for name in named if isinstance(name, str) and _is_text(name)), "")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _told(
    error: InvalidRequestError, said: status_pb2.Status, failed: CallFailedError
) -> CallFailedError:
    """Return what the service said, of the field that is really to blame."""
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field=error.field or "", description=error.description)
    status = status_pb2.Status(code=failed.code.value[0], message=str(error))
    status.details.extend(each for each in said.details if not each.Is(bad.DESCRIPTOR))
    status.details.add().Pack(bad)
    return CallFailedError(
        failed.code,
        status.message,
        status,
        initial_metadata=failed.initial_metadata,
        trailing_metadata=failed.trailing_metadata,
    )
