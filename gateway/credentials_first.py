"""Who calls is judged before what the fields of a body hold: the contract's order of checks.

Only the service can judge it. So it is asked even where there is no message to ask
it with: with another, which it refuses for its content and not without having seen
the credentials. That request is an attempt of the caller's like any that is refused
for its content.
"""

import hashlib
from collections.abc import Callable

import grpc
from google.protobuf.message import Message
from starlette.requests import Request

from gateway.transcoding import receiving
from gateway.transcoding.calling import Caller, CallOptions
from gateway.transcoding.errors import CallFailedError, InvalidRequestError
from gateway.transcoding.rules import Binding
from tokenservice.v1 import tokenservice_pb2


class CredentialsFirst:
    """Asks the service whether who sent fields that are not valid may be told so."""

    def __init__(self, call: Caller, options: Callable[[Request], CallOptions]) -> None:
        """Make `call` with the `options` that the request's own would have had."""
        self._call = call
        self._options = options

    async def __call__(
        self, request: Request, binding: Binding, error: InvalidRequestError
    ) -> None:
        """Return if `error` is what the caller shall be told.

        Raises:
            CallFailedError: What it shall be told instead.
            RequestError: Likewise, of its headers.

        """
        fields = error.field and binding.body is not None and not request.scope["query_string"]
        if not fields:  # syntax, and what is no part of a message
            return
        call = self._call.unary(binding, _refused(binding, error), self._options(request))
        try:
            await receiving.unless_disconnected(call, request.receive)
        except CallFailedError as failed:
            if failed.code is not grpc.StatusCode.INVALID_ARGUMENT:
                raise


def _refused(binding: Binding, error: InvalidRequestError) -> Message:
    """Return a message that is refused for its content, where the method charges anything.

    The same mistake makes the same message, and others others: so the rules against
    abuse see what they would have seen of the request itself.
    """
    message = binding.request_class()
    if isinstance(message, tokenservice_pb2.CreateTokenRequest):
        mistake = hashlib.sha256(repr((error.field, error.description)).encode())
        message.response_modality = f"none: {mistake.hexdigest()[:16]}"
    return message
