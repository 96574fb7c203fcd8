"""What surrounds every request: its id, its span, its log line, and a net for defects."""

import asyncio
import time
from collections.abc import Container
from contextlib import nullcontext
from http import HTTPStatus

import structlog
from opentelemetry.trace import INVALID_SPAN
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import envelope, forwarding, refusal, tracing
from gateway.cors import Cors, is_preflight
from gateway.outcomes import CLIENT_CLOSED_REQUEST
from gateway.transcoding.asgi import raw_path
from gateway.transcoding.router import Router

log = structlog.get_logger(__name__)


class Observed:
    """Wraps an ASGI application.

    `router` gives requests their names, or else `pages`, whose paths are names.
    Requests for `untraced` RPCs (full names, as `package.Service.Method`) and for
    pages have no span. Every answer tells browsers what `cors` says.
    """

    def __init__(
        self,
        app: ASGIApp,
        router: Router,
        untraced: frozenset[str],
        pages: Container[str],
        cors: Cors,
    ) -> None:
        self._app = app
        self._router = router
        self._untraced = untraced
        self._pages = pages
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; other kinds of connections are not served."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        request.state.request_id = forwarding.request_id(request.headers)
        request.state.code = "OK"
        route, traced = self._route(request)
        started = time.perf_counter()
        answer = _Answer(send, request, self._cors)
        with (
            tracing.request_span(request.method, route, request.headers)
            if traced
            else nullcontext(INVALID_SPAN)
        ) as span:
            await self._serve(request, answer)
            if answer.status is None:
                answer.status, request.state.code = CLIENT_CLOSED_REQUEST, "CANCELLED"
            status = answer.status
            tracing.describe(
                span,
                scheme=scope.get("scheme", "http"),
                protocol_version=scope.get("http_version", "1.1"),
                status=status,
            )
            (log.warning if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info)(
                "request",
                method=tracing.method_name(request.method),
                route=route,
                status=status,
                code=request.state.code,
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
                request_id=request.state.request_id,
            )

    def _route(self, request: Request) -> tuple[str | None, bool]:
        """Return the name of what is asked for, if it has one, and whether it has a span."""
        path = raw_path(request.scope)
        if path in self._pages:
            return path, False
        binding = self._router.find(request.method, path)
        if binding is None:
            return None, True
        return binding.template.text, binding.rpc.full_name not in self._untraced

    async def _serve(self, request: Request, answer: "_Answer") -> None:
        try:
            await self._app(request.scope, request.receive, answer.send)
        except asyncio.CancelledError:  # the drain is over; uvicorn would say so in plain text
            if answer.status is None:
                response = envelope.refuse(request, refusal.of_stopping())
                await response(request.scope, request.receive, answer.send)
            raise
        except Exception:
            log.exception("request failed", request_id=request.state.request_id)
            if answer.status is None:
                response = envelope.refuse(request, refusal.of_defect())
                await response(request.scope, request.receive, answer.send)


class _Answer:
    """Sends an answer with the headers that all answers have, and notes its status."""

    def __init__(self, send: Send, request: Request, cors: Cors) -> None:
        self.status: int | None = None
        self._send = send
        self._request = request
        self._cors = cors

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message["headers"])
            for name, value in envelope.COMMON_HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self._request.state.request_id
            preflight = is_preflight(self._request)
            self._cors.mark(self._request.headers, headers, preflight=preflight)
        await self._send(message)
