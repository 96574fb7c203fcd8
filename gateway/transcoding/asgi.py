"""The transcoder as an ASGI application."""

from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import quote

from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.transcoding import receiving, streaming
from gateway.transcoding.answering import AnswerHeaders, StreamAnswer, raw_response
from gateway.transcoding.binding import bind
from gateway.transcoding.calling import Caller, CallOptions, Metadata, Reply
from gateway.transcoding.errors import (
    CallFailedError,
    InvalidRequestError,
    MethodNotAllowedError,
    RequestError,
)
from gateway.transcoding.rendering import render
from gateway.transcoding.router import Match, Router
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json

_PATH_CHARACTERS = "/:@!$&'()*+,;=~"  # those that RFC 3986, 3.3, needs no escapes for

DEFAULT_PAUSE = 15.0
"""Seconds without a message after which a stream says that it lives."""


class Envelope(Protocol):
    """What answers look like."""

    def success(self, request: Request, tree: Json, reply: Reply) -> Response:
        """Answer with the JSON of a response; the reply has its message and metadata."""

    def refusal(self, request: Request, error: RequestError) -> Response:
        """Answer a request for which no RPC was made."""

    def failure(self, request: Request, error: CallFailedError) -> Response:
        """Answer a request whose RPC failed.

        The body, which must be JSON, is also what the error in a stream says.
        """


def no_headers(_request: Request, _initial: Metadata) -> dict[str, str]:
    """Return no headers, whatever the server's metadata."""
    return {}


async def _nothing(
    _request: Request, _binding: Binding, _body: bytes, _error: InvalidRequestError
) -> None:
    """Let the refusal stand."""


class Transcoder:
    """Serves the RPCs of `router` over HTTP: unary and server-streaming.

    `metadata` chooses what is sent along with the RPC, and `timeout` how many
    seconds its caller allows for it, None for as many as there are; `prepare`
    completes the message from the headers. All may raise RequestError. A body has at
    most `max_body_bytes`, and `body_timeout` seconds to arrive in. `before_refusal`
    is awaited, with the body, where body and parameters make no message, and may raise
    what is to be answered instead.

    `answer_headers` gives streams and raw bodies, which the envelope does not
    write, their headers for the server's initial metadata. `pause` is the
    seconds without a message after which a stream says that it lives. Floats in a
    body may be strings, as the JSON mapping has it, unless `text_floats` is false.
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
        answer_headers: AnswerHeaders = no_headers,
        pause: float = DEFAULT_PAUSE,
        text_floats: bool = True,
        before_refusal: Callable[
            [Request, Binding, bytes, InvalidRequestError], Awaitable[None]
        ] = _nothing,
    ) -> None:
        self._router = router
        self._call = call
        self._envelope = envelope
        self._metadata = metadata
        self._timeout = timeout
        self._prepare = prepare
        self._max_body_bytes = max_body_bytes
        self._body_timeout = body_timeout
        self._answer_headers = answer_headers
        self._pause = pause
        self._text_floats = text_floats
        self._before_refusal = before_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request, send)
        except ClientDisconnect:
            return
        if response is None:
            return
        if request.method == "HEAD":
            response.body = b""  # its headers, Content-Length too, are those of the GET
        await response(scope, receive, send)

    async def _answer(self, request: Request, send: Send) -> Response | None:
        """Return the answer, or None if it was sent already, as streams are."""
        try:
            match = self._router.match(request.method, raw_path(request.scope))
            if match.binding.streams:
                await self._stream(request, match, send)
                return None
            message = await self._bind(request, match)
            options = CallOptions(self._metadata(request), self._timeout(request))
            call = self._call.unary(match.binding, message, options)
            reply = await receiving.unless_disconnected(call, request.receive)
            return self._success(request, match.binding, reply)
        except MethodNotAllowedError as error:
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": ", ".join(error.allow)})
            return self._envelope.refusal(request, error)
        except RequestError as error:
            return self._envelope.refusal(request, error)
        except CallFailedError as error:
            return self._envelope.failure(request, error)

    def _success(self, request: Request, binding: Binding, reply: Reply) -> Response:
        if binding.raw_response:
            headers = self._answer_headers(request, reply.initial_metadata)
            return raw_response(binding, reply.message, headers)
        return self._envelope.success(request, render(binding, reply.message), reply)

    async def _stream(self, request: Request, match: Match, send: Send) -> None:
        binding = match.binding
        answer = StreamAnswer(
            request,
            binding,
            form=None if binding.raw_response else streaming.choose(request.headers),
            headers=self._answer_headers,
            error_body=lambda error: bytes(self._envelope.failure(request, error).body),
            pause=self._pause,
        )
        message = await self._bind(request, match)
        options = CallOptions(self._metadata(request), self._timeout(request))
        stream = self._call.stream(binding, message, options)
        await receiving.unless_disconnected(answer.send(stream, send), request.receive)

    async def _bind(self, request: Request, match: Match) -> Message:
        raw = match.binding.raw_body
        body = await receiving.read_body(
            request.headers,
            request.receive,
            limit=self._max_body_bytes,
            timeout=self._body_timeout,
            any_type=raw,
        )
        try:
            message = bind(
                match,
                query_string=request.scope["query_string"].decode("latin-1"),
                body=body,
                content_type=request.headers.get("content-type", "") if raw else "",
                text_floats=self._text_floats,
            )
        except InvalidRequestError as error:
            await self._before_refusal(request, match.binding, body, error)
            raise
        self._prepare(message, request.headers)
        return message


def raw_path(scope: Scope) -> str:
    """Return the path of an ASGI request as it was sent, percent-encoded.

    That is without the prefix under which this application is mounted in another. Of a
    server that does not tell it, the path is encoded anew.
    """
    sent: bytes = scope.get("raw_path") or quote(scope["path"], safe=_PATH_CHARACTERS).encode()
    raw = sent.decode("latin-1")
    mounted = quote(scope.get("root_path", ""), safe=_PATH_CHARACTERS)
    return raw.removeprefix(mounted) if raw.startswith(f"{mounted}/") else raw
