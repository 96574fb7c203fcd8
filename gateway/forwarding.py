"""What of an HTTP request's headers goes on to the service, and nothing else."""

import re
from uuid import uuid4

import http_sf
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.requests import Request

from gateway import baggage, grpc_metadata
from gateway.transcoding import messages
from gateway.transcoding.calling import Metadata
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.receiving import single

MAX_METADATA_BYTES = 12 * 1024
"""What all that goes on may have together: a token of 8 KiB, and a proof of possession.
Tokenservice takes 16 KiB, with names and what the gateway and gRPC add: 32 bytes an entry."""

# From the HTTP header to the metadata key; grpc-gateway gave the last its name.
_FORWARDED = {
    "authorization": "authorization",
    "x-api-key": "x-api-key",
    "dpop": "dpop",
    "user-agent": "grpcgateway-user-agent",
}
_PRINTABLE = re.compile(r"[ -~]*")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_IDEMPOTENCY_KEY = "Idempotency-Key"
_MAX_IDEMPOTENCY_KEY = 128


def metadata(request: Request, baggage_keys: frozenset[str] = frozenset()) -> Metadata:
    """Return the metadata of the RPC: the request id, and what of the headers goes on.

    That are the forwarded headers, those for metadata of the caller's own, and of
    `baggage` the members that have one of `baggage_keys`. Trace context is added
    where the RPC is made. Raises InvalidRequestError, which names the header, for
    one that is there twice or that gRPC metadata cannot carry, and
    LargeMetadataError.
    """
    entries: list[tuple[str, str | bytes]] = [("x-request-id", request.state.request_id)]
    room = MAX_METADATA_BYTES
    for header, key in _FORWARDED.items():
        value = single(request.headers, header)
        if value is None:
            continue
        if not _PRINTABLE.fullmatch(value):
            raise InvalidRequestError("must be printable ASCII", field=header)
        room -= len(value)
        if room < 0:
            raise InvalidRequestError("is too long", field=header)
        entries.append((key, value))
    own = grpc_metadata.from_headers(request.headers)
    room -= grpc_metadata.size(own)
    if room < 0:
        raise InvalidRequestError(f"The headers that go on are over {MAX_METADATA_BYTES} bytes.")
    members = baggage.taken(request.headers, baggage_keys)
    if 0 < len(members) <= room:
        entries.append((baggage.NAME, members))
    return (*entries, *own)


def request_id(headers: Headers) -> str:
    """Return the caller's `x-request-id` if it is 1 to 128 visible ASCII characters, else a new."""
    sent = headers.getlist("x-request-id")
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return sent[0]
    return uuid4().hex


def idempotency_key(message: Message, headers: Headers) -> None:
    """Put the `Idempotency-Key` header into the `request_id` of a message that has one.

    The key is written bare, as most clients do, or as the structured String that
    draft-ietf-httpapi-idempotency-key-header has: `k` and `"k"` are one key.
    Raises InvalidRequestError if the header is there but empty, longer than 128
    characters or not printable ASCII, if it begins with a quote and is no
    String, or if the message has another id already.
    """
    field = messages.type_of(message).fields_by_name.get("request_id")
    key = single(headers, _IDEMPOTENCY_KEY)
    if key is None or field is None or field.type != FieldDescriptor.TYPE_STRING:
        return
    if key.startswith('"'):
        key = _unquoted(key)
    if not 1 <= len(key) <= _MAX_IDEMPOTENCY_KEY or not _PRINTABLE.fullmatch(key):
        raise InvalidRequestError(
            f"must be 1 to {_MAX_IDEMPOTENCY_KEY} printable ASCII characters",
            field=_IDEMPOTENCY_KEY,
        )
    if getattr(message, field.name) not in {"", key}:
        raise InvalidRequestError(
            f"differs from {field.json_name} in the request", field=_IDEMPOTENCY_KEY
        )
    setattr(message, field.name, key)


def _unquoted(key: str) -> str:
    try:
        value: object = http_sf.parse(key.encode(), tltype="item")
    except http_sf.StructuredFieldError:
        value = None
    match value:
        case (str() as text, _):  # its parameters mean nothing
            return text
        case _:
            raise InvalidRequestError(
                "begins with a quote, and is no string in quotes", field=_IDEMPOTENCY_KEY
            )
