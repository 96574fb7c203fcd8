"""What can be wrong with a rule, with a request, and with a call.

- RuleError, a ValueError: the API is at fault, and nothing is served.
- RequestError: the caller is at fault, and no RPC is made.
    - InvalidRequestError: 400
    - UnknownPathError: 404
    - MethodNotAllowedError: 405
    - NotAcceptableError: 406
    - SlowHeadError, SlowBodyError: 408
    - PayloadTooLargeError: 413
    - LongUrlError: 414
    - UnsupportedMediaTypeError: 415
    - LargeHeadError, LargeMetadataError: 431
- CallFailedError: the RPC was made and ended in a status.
"""

from collections.abc import Sequence
from typing import TypeAlias

import grpc
from google.rpc import status_pb2

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
"""Metadata of an RPC; the values of names that end in `-bin` are bytes."""

MAX_SHOWN = 128
"""How many characters of what a caller wrote are shown to it."""


class RuleError(ValueError):
    """A `google.api.http` rule that cannot be served, or that contradicts another."""


class RequestError(Exception):
    """An HTTP request that is no request of this API. Its text is safe to show."""


class InvalidRequestError(RequestError):
    """A request whose syntax or shape is wrong.

    `field` is the path of the offending field, parameter or header as the
    caller spelled it, empty for the body itself, or None where the description
    is a whole sentence.
    """

    def __init__(self, description: str, *, field: str | None = None) -> None:
        self.description = description
        self.field = None if field is None else _abridged(field)
        super().__init__(
            description if self.field is None else f"{self.field or 'The body'} {description}."
        )


class UnknownPathError(RequestError):
    """No rule has this path."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this path.")


class MethodNotAllowedError(RequestError):
    """Rules have this path, but none of them this method."""

    def __init__(self, method: str, allow: Sequence[str]) -> None:
        self.allow = tuple(allow)
        super().__init__(f"{_abridged(method)} is not allowed here, only {', '.join(allow)}.")


class NotAcceptableError(RequestError):
    """The `Accept` header allows none of the media types that there are."""

    def __init__(self, offered: Sequence[str]) -> None:
        super().__init__(f"The Accept header allows none of {', '.join(offered)}.")


class SlowHeadError(RequestError):
    """The request line and the headers did not arrive in time."""

    def __init__(self) -> None:
        super().__init__("The request did not arrive in time.")


class LongUrlError(RequestError):
    """The URL is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The URL is longer than {limit} bytes.")


class LargeHeadError(RequestError):
    """The headers are more than `count`, or with the URL more than `size` bytes."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(f"The headers are more than {count}, or more than {size} bytes.")


class LargeMetadataError(RequestError):
    """The headers for the RPC's metadata are more than `count`, or more than `size` bytes."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(
            f"The Grpc-Metadata- headers are more than {count}, or more than {size} bytes."
        )


class SlowBodyError(RequestError):
    """The body did not arrive in time."""

    def __init__(self) -> None:
        super().__init__("The body did not arrive in time.")


class PayloadTooLargeError(RequestError):
    """The body is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")


class UnsupportedMediaTypeError(RequestError):
    """The body is not plain `application/json`.

    `headers` tell what would be taken (RFC 9110, 15.5.16).
    """

    def __init__(self, description: str, headers: dict[str, str]) -> None:
        self.headers = headers
        super().__init__(description)


class CallFailedError(Exception):
    """An RPC that ended in a status other than OK.

    `status` is the `google.rpc.Status` from the trailers, where the server sent
    one; the metadata are the server's, and empty where it was not reached.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str = "",
        status: status_pb2.Status | None = None,
        *,
        initial_metadata: Metadata = (),
        trailing_metadata: Metadata = (),
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.initial_metadata = initial_metadata
        self.trailing_metadata = trailing_metadata
        super().__init__(code.name)


def _abridged(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
