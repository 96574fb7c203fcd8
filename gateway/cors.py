"""Which pages of other origins may read our answers: the server's side of CORS.

Starlette's middleware has no origin that stands for one label, answers a preflight
in plain text whatever its path is, and cannot mark what is refused before there is
an ASGI request.

A page whose origin is not allowed may still send a simple request; it learns nothing,
and gets nothing done, for credentials are headers, which no simple request has.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import envelope, refusal
from gateway.origins import ANY, Origins
from gateway.settings import GatewaySettings

_ASKED_METHOD = "Access-Control-Request-Method"
_ASKED_HEADERS = "Access-Control-Request-Headers"
_PREFLIGHT_VARY = f"Origin, {_ASKED_METHOD}, {_ASKED_HEADERS}"

_REQUEST_HEADER = re.compile(
    r"accept|authorization|baggage|content-type|dpop|grpc-metadata-[a-z0-9._-]+|grpc-timeout"
    r"|idempotency-key|traceparent|tracestate|x-api-key|x-request-id"
)
_RESPONSE_HEADER = re.compile(
    r"allow|etag|grpc-(?:metadata|trailer)-.+|ratelimit|ratelimit-policy|retry-after"
    r"|traceresponse|www-authenticate|x-request-id|x-trace-id"
)
_DATE = "Date"  # uvicorn's, added after all others: by it a page knows how wrong its clock is


class Cors:
    """What answers say to browsers about the origins of other pages."""

    def __init__(self, origins: Origins, *, credentials: bool, max_age: int) -> None:
        """Let pages of `origins` read answers, and keep a preflight's for `max_age` seconds."""
        self._origins = origins
        self._credentials = credentials and not origins.anyone
        self._max_age = max_age

    @classmethod
    def of(cls, settings: GatewaySettings) -> "Cors":
        """Return what the settings say."""
        return cls(
            settings.origins,
            credentials=settings.cors_credentials,
            max_age=settings.cors_max_age_seconds,
        )

    def allows(self, asked: Headers) -> bool:
        """Return whether a request has one origin, and that is allowed."""
        origins = asked.getlist("origin")
        return len(origins) == 1 and origins[0] in self._origins

    def mark(self, asked: Headers, answer: MutableHeaders, *, preflight: bool = False) -> None:
        """Add to the headers of an answer, whichever it is, those for the page that asked."""
        if preflight:
            answer["Vary"] = _PREFLIGHT_VARY
        elif "Origin" not in answer.get("vary", ""):
            answer.add_vary_header("Origin")
        if not self.allows(asked):
            return
        answer["Access-Control-Allow-Origin"] = ANY if self._origins.anyone else asked["origin"]
        if self._credentials:
            answer["Access-Control-Allow-Credentials"] = "true"
        if not preflight:
            exposed = [name for name in answer if _RESPONSE_HEADER.fullmatch(name.lower())]
            answer["Access-Control-Expose-Headers"] = ", ".join([_DATE, *exposed])
        elif "allow" in answer:
            answer["Access-Control-Allow-Methods"] = answer["allow"]
            if headers := _allowed(asked.getlist(_ASKED_HEADERS)):
                answer["Access-Control-Allow-Headers"] = ", ".join(headers)
            answer["Access-Control-Max-Age"] = str(self._max_age)


class Preflights:
    """Refuses the preflights of origins that are not allowed.

    All others are an OPTIONS request like any: what the application answers, with no
    RPC, says what its path allows, and `Cors.mark` tells browsers in their words.
    """

    def __init__(self, app: ASGIApp, cors: Cors) -> None:
        self._app = app
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        request = Request(scope, receive)
        if is_preflight(request) and not self._cors.allows(request.headers):
            response = envelope.refuse(request, refusal.of_origin())
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_preflight(request: Request) -> bool:
    """Return whether a browser asks whether it may ask."""
    asked = request.headers
    return request.method == "OPTIONS" and "origin" in asked and _ASKED_METHOD in asked


def _allowed(lines: Iterable[str]) -> list[str]:
    names = (name.strip().lower() for name in ",".join(lines).split(","))
    return list(dict.fromkeys(name for name in names if _REQUEST_HEADER.fullmatch(name)))
