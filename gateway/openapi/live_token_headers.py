"""The headers of the live-token API."""

from dataclasses import replace
from http import HTTPStatus

from gateway.envelope import COMMON_HEADERS
from gateway.openapi.api import AnswerHeader, RequestHeader
from gateway.openapi.live_token_refusals import mints, needs_credentials
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json

_SERVICE = "tokenservice.v1"
_KEY = r'^([!#-~]([ -~]{0,126}[!-~])?|"([ !#-\[\]-~]|\\["\\]){1,128}")$'
_SUCCESS = frozenset({HTTPStatus.OK})
_LIMITED = frozenset({HTTPStatus.TOO_MANY_REQUESTS})
_MAY_BE_WAITED_FOR = frozenset({403, 409, 429, 503, 504})

REQUEST = (
    RequestHeader(
        "Idempotency-Key",
        "A repeat with the same key and the same content gets the same token, for one charge. "
        'Bare, or a string in quotes as the IETF\'s draft has it: `k` and `"k"` are one key.',
        {"type": "string", "minLength": 1, "pattern": _KEY},
        "order-7",
        where=mints,
        field=f"{_SERVICE}.CreateTokenRequest.request_id",
    ),
    RequestHeader(
        "DPoP",
        "A proof of possession (RFC 9449), where these are on; elsewhere it is not looked at.",
        {"type": "string"},
        "eyJ0eXAiOiJkcG9wK2p3dCJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl",
        where=needs_credentials,
    ),
    RequestHeader(
        "Grpc-Timeout",
        "How long the caller waits: 1 to 8 digits and `H`, `M`, `S`, `m` (ms), `u` (µs) or `n` "
        "(ns). It can only shorten what the gateway allows; `0S` is 504 at once.",
        {"type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$"},
        "5S",
    ),
    RequestHeader(
        "X-Request-Id",
        "1 to 128 visible ASCII characters, which the answer and the log have too. "
        "With any other, one is made.",
        {"type": "string"},
        "3b9c8f5e0d7a4c1b8e2f6a5d4c3b2a19",
    ),
    RequestHeader(
        "traceparent",
        "Continues the caller's trace (W3C Trace Context); one that is malformed begins a new one.",
        {"type": "string"},
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    RequestHeader(
        "tracestate",
        "With `traceparent`; over 512 characters it is shortened.",
        {"type": "string"},
        "vendor=value",
    ),
    RequestHeader(
        "baggage",
        "W3C Baggage. Members go on to tokenservice whose key an operator has listed, no others.",
        {"type": "string"},
        "tenant=blue",
    ),
)


def tells_usage(binding: Binding) -> bool:
    """Return whether an answer of an operation has the caller's usage."""
    return binding.rpc.name in {"CreateToken", "GetUsage"}


_LEFT = (
    AnswerHeader(
        "RateLimit-Policy",
        "The limits that are on, in the form of draft-ietf-httpapi-ratelimit-headers: `q` tokens "
        "in any `w` seconds.",
        {"type": "string"},
    ),
    AnswerHeader(
        "RateLimit",
        "What is left of each limit, `r`, and in how many seconds it allows the next token, `t`.",
        {"type": "string"},
    ),
)
_RETRY_AFTER = AnswerHeader(
    "Retry-After",
    "In how many seconds the next token is allowed, 0 if it is now; of a refusal, how long "
    "to wait, where waiting helps.",
    {"type": "integer", "minimum": 0},
)

_COMMON = {
    "Cache-Control": "No answer is for a cache.",
    "Content-Security-Policy": "No answer is a page.",
    "Cross-Origin-Resource-Policy": "No answer is a part of another's page.",
    "Referrer-Policy": "No answer tells others where it was.",
    "Vary": "The headers of the request that the answer depends on.",
    "X-Content-Type-Options": "An answer is what `Content-Type` says.",
}
_SOMETIMES = {
    "Access-Control-Allow-Origin": "The origin of the page that asks, if it may read the answer.",
    "Access-Control-Allow-Credentials": "`true` where that page may ask with credentials.",
    "Access-Control-Expose-Headers": "The headers that this page may read.",
    "Strict-Transport-Security": "That the service is to be asked over HTTPS alone, where it is.",
}


def _is(value: str) -> dict[str, Json]:
    return {"type": "string", "const": value}


ANSWER = (
    AnswerHeader(
        "X-Request-Id",
        "The request's id: the caller's, or one that was made.",
        {"type": "string", "pattern": "^[!-~]{1,128}$"},
        required=True,
    ),
    AnswerHeader(
        "X-Trace-Id",
        "The trace's id: by it, an operator finds the request in each process. Of health, none.",
        {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    ),
    AnswerHeader(
        "traceresponse",
        "Which span was the request's (W3C Trace Context, level 2).",
        {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    ),
    *(
        AnswerHeader(name, _COMMON[name], _is(value), required=True)
        for name, value in COMMON_HEADERS.items()
    ),
    *(
        AnswerHeader(name, description, {"type": "string"})
        for name, description in _SOMETIMES.items()
    ),
    *(replace(each, statuses=_SUCCESS, where=tells_usage) for each in (*_LEFT, _RETRY_AFTER)),
    *(replace(each, statuses=_LIMITED, where=mints) for each in _LEFT),
    replace(_RETRY_AFTER, statuses=_MAY_BE_WAITED_FOR),
    AnswerHeader(
        "WWW-Authenticate",
        "Which credentials would do (RFC 6750, RFC 9449).",
        {"type": "string", "pattern": "^Bearer "},
        frozenset({HTTPStatus.UNAUTHORIZED}),
        required=True,
    ),
    AnswerHeader(
        "Allow",
        "The methods that the path has.",
        {"type": "string"},
        frozenset({HTTPStatus.METHOD_NOT_ALLOWED}),
        required=True,
    ),
    AnswerHeader(
        "Accept",
        "The media type that the body must have.",
        {"type": "string", "const": "application/json"},
        frozenset({HTTPStatus.UNSUPPORTED_MEDIA_TYPE}),
    ),
    AnswerHeader(
        "Accept-Encoding",
        "The encoding that the body must have.",
        {"type": "string", "const": "identity"},
        frozenset({HTTPStatus.UNSUPPORTED_MEDIA_TYPE}),
    ),
)
