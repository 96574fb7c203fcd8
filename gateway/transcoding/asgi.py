"""The transcoder as an ASGI application."""

from collections.abc import Callable
from typing import Protocol

from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.transcoding import binding, receiving
from gateway.transcoding.calling import Caller, CallOptions, Metadata, Reply
from gateway.transcoding.errors import CallFailedError, MethodNotAllowedError, RequestError
from gateway.transcoding.rendering import render
from gateway.transcoding.router import Match, Router
from gateway.transcoding.strict_json import Json


class Envelope(Protocol):
    """What answers look like."""

    def success(self, request: Request, tree: Json, reply: Reply) -> Response:
        """Answer with the JSON of a response; the reply has its message and metadata."""

    def refusal(self, request: Request, error: RequestError) -> Response:
        """Answer a request for which no RPC was made."""

    def failure(self, request: Request, error: CallFailedError) -> Response:
        """Answer a request whose RPC failed."""


class Transcoder:
    """Serves the unary RPCs of `router` over HTTP.

    `metadata` chooses what is sent along with the RPC, and `timeout` how many
    seconds its caller allows for it, None for as many as there are; `prepare`
    completes the message from the headers. All may raise RequestError. A body has at
    most `max_body_bytes`, and `body_timeout` seconds to arrive in.
    """

    def __init__(
        self,
        router: Router,
        call: Caller,
        envelope: Envelope,
        *,
        metadata: Callable[[Request], Metadata],
        prepare: Callable[[Message, Headers], None],
        max_body_bytes: int,
        body_timeout: float,
        timeout: Callable[[Request], float | None] = lambda _: None,
    ) -> None:
        self._router = router
        self._call = call
        self._envelope = envelope
        self._metadata = metadata
        self._timeout = timeout
        self._prepare = prepare
        self._max_body_bytes = max_body_bytes
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        if request.method == "HEAD":
            response.body = b""  # its headers, Content-Length too, are those of the GET
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            match = self._router.match(request.method, raw_path(request.scope))
            message = await self._bind(request, match)
            options = CallOptions(self._metadata(request), self._timeout(request))
            call = self._call.unary(match.binding, message, options)
            reply = await receiving.unless_disconnected(call, request.receive)
        except MethodNotAllowedError as error:
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": ", ".join(error.allow)})
            return self._envelope.refusal(request, error)
        except RequestError as error:
            return self._envelope.refusal(request, error)
        except CallFailedError as error:
            return self._envelope.failure(request, error)
        return self._envelope.success(request, render(match.binding, reply.message), reply)

    async def _bind(self, request: Request, match: Match) -> Message:
        body = await receiving.read_body(
            request.headers,
            request.receive,
            limit=self._max_body_bytes,
            timeout=self._body_timeout,
        )
        query_string = request.scope["query_string"].decode("latin-1")
        message = binding.bind(match, query_string=query_string, body=body)
        self._prepare(message, request.headers)
        return message


def raw_path(scope: Scope) -> str:
    """Return the path of an ASGI request as it was sent, percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")
