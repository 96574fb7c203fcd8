"""Metadata of RPCs as HTTP headers, both ways, by grpc-gateway's names.

`Grpc-Metadata-<name>` of a request becomes the metadata `<name>` of the RPC;
the server's initial metadata become `Grpc-Metadata-<Name>` of the answer, and
its trailing metadata `Grpc-Trailer-<Name>` if the request has `TE: trailers`.
A name that ends in `-bin` has bytes for a value, in base64 over HTTP.

Some names are reserved, in both directions: they have a meaning, to gRPC, to
HTTP, or to a service that believes what the gateway says. Where a caller
writes one it is ignored, as any other header that has no meaning here.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterable, Iterator

from starlette.datastructures import Headers

from gateway.transcoding.calling import Metadata
from gateway.transcoding.errors import InvalidRequestError, LargeMetadataError

MAX_ENTRIES = 16
MAX_BYTES = 2 * 1024
"""How much metadata a caller may add: names, and values as gRPC sends them."""

_PREFIX = "grpc-metadata-"
_TRAILER_PREFIX = "grpc-trailer-"
_BINARY = "-bin"

RESERVED_PREFIXES = (
    "content-",
    "grpc-",
    "grpcgateway-",
    "live-token-",
    "sec-",
    "x-b3-",
    "x-client-",
    "x-envoy-",
    "x-forwarded-",
    "x-internal-",
    "x-user-",
)
RESERVED = frozenset(
    {
        # Credentials.
        "authorization",
        "cookie",
        "dpop",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        "x-goog-api-key",
        # Who calls, and in which trace: the gateway's to say.
        "b3",
        "baggage",
        "forwarded",
        "traceparent",
        "traceresponse",
        "tracestate",
        "true-client-ip",
        "user-agent",
        "via",
        "x-cluster-client-ip",
        "x-originating-ip",
        "x-real-ip",
        "x-request-id",
        "x-trace-id",
        # Of HTTP.
        "connection",
        "date",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Not with a hyphen first: to gRPC, what is called `-bin` and nothing else is no binary.
_KEY = re.compile(r"[a-z0-9_.][a-z0-9_.-]*")
_TEXT = re.compile(r"[ -~]*")


def is_reserved(name: str) -> bool:
    """Return whether a name, in lower case, is none that callers and the server share.

    One with `-bin` behind it is as reserved as the name without, and one with
    underscores as that with hyphens: somebody may read them alike.
    """
    plain = name.replace("_", "-").removesuffix(_BINARY)
    return plain in RESERVED or plain.startswith(RESERVED_PREFIXES)


def from_headers(headers: Headers) -> Metadata:
    """Return the metadata that a request's `Grpc-Metadata-` headers are.

    Raises InvalidRequestError, which names the header, for a name or a value
    that metadata cannot have, and LargeMetadataError above MAX_ENTRIES or MAX_BYTES.
    """
    entries: list[tuple[str, str | bytes]] = []
    for header, value in headers.items():
        if not header.startswith(_PREFIX):
            continue
        name = header.removeprefix(_PREFIX)
        if is_reserved(name):
            continue
        entries.append((name, _value(header, name, value)))
    if len(entries) > MAX_ENTRIES or size(entries) > MAX_BYTES:
        raise LargeMetadataError(MAX_ENTRIES, MAX_BYTES)
    return tuple(entries)


def size(entries: Iterable[tuple[str, str | bytes]]) -> int:
    """Return how many bytes entries have: names, and values as gRPC sends them."""
    return sum(
        len(name) + (math.ceil(len(value) * 4 / 3) if isinstance(value, bytes) else len(value))
        for name, value in entries
    )


def to_headers(asked: Headers, initial: Metadata, trailing: Metadata) -> list[tuple[str, str]]:
    """Return the headers of an answer that the server's metadata are.

    All of them are known before the answer begins, so trailing metadata need no
    trailer section, which few clients can read; but only who asks has them.
    """
    answer = list(_headers(_PREFIX, initial))
    if "trailers" in asked.get("te", "").lower():
        answer += _headers(_TRAILER_PREFIX, trailing)
    return answer


def _value(header: str, name: str, value: str) -> str | bytes:
    if not _KEY.fullmatch(name):
        raise InvalidRequestError("has a name that gRPC metadata cannot have", field=header)
    if name.endswith(_BINARY):
        return _decoded(header, value)
    if not _TEXT.fullmatch(value):
        raise InvalidRequestError("must be printable ASCII", field=header)
    return value


def _decoded(header: str, value: str) -> bytes:
    """Return what base64 stands for, with its padding or without, as gRPC takes both."""
    try:
        padded = value if value.endswith("=") else value + "=" * (-len(value) % 4)
        return base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("must be base64", field=header) from None


def _headers(prefix: str, metadata: Metadata) -> Iterator[tuple[str, str]]:
    for name, value in metadata:
        if is_reserved(name):
            continue
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if _TEXT.fullmatch(text):  # what is not cannot be in a header, and would break it
            yield (prefix + name).title(), text
