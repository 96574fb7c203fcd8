"""What surrounds every request: its id, span, metrics, log line, and a net for defects."""

import asyncio
import time
from collections.abc import Container
from contextlib import nullcontext
from http import HTTPStatus

import structlog
from opentelemetry.trace import INVALID_SPAN, Span
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import envelope, forwarding, refusal, tracing
from gateway.cors import Cors, is_preflight
from gateway.outcomes import CLIENT_CLOSED_REQUEST
from gateway.transcoding.asgi import raw_path
from gateway.transcoding.router import Router
from serving import metrics
from serving.tracing import exemplar_of, trace_id, traceresponse

log = structlog.get_logger(__name__)

_PAGE = "page"
"""The route of what belongs to a page: many files, whose times are one matter."""


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
        if not hasattr(request.state, "request_id"):  # or it was refused before it came here
            request.state.request_id = forwarding.request_id(request.headers)
        request.state.code = "OK"
        route, traced = self._route(request)
        started = time.perf_counter()
        answer = _Answer(send, request, self._cors)
        metrics.HTTP_ACTIVE.add(1)
        with (
            tracing.request_span(request.method, route, request.headers)
            if traced
            else nullcontext(INVALID_SPAN)
        ) as span:
            try:
                await self._serve(request, answer)
            finally:
                metrics.HTTP_ACTIVE.add(-1)
                self._finish(request, answer, span, route, time.perf_counter() - started)

    def _finish(
        self, request: Request, answer: "_Answer", span: Span, route: str | None, seconds: float
    ) -> None:
        """Tell the span, the metrics and the log how a request ended."""
        if answer.status is None:
            cancelled = CLIENT_CLOSED_REQUEST, "CANCELLED"
            answer.status, request.state.code = getattr(request.state, "refused", cancelled)
        status = answer.status
        tracing.describe(
            span,
            scheme=request.scope.get("scheme", "http"),
            protocol_version=request.scope.get("http_version", "1.1"),
            status=status,
            routed=route is not None,
        )
        fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        method = tracing.method_name(request.method)
        metrics.HTTP_DURATION.record(
            seconds,
            exemplar_of(span),
            method=method,
            route=_PAGE if route in self._pages else route,
            status=str(status),
            error=str(status) if fault else None,
        )
        # Who asks for health asks every second: that it is well is no news.
        probe = span is INVALID_SPAN and route not in self._pages and status == HTTPStatus.OK
        (log.warning if fault else log.debug if probe else log.info)(
            "request",
            method=method,
            route=route,
            status=status,
            code=request.state.code,
            duration_ms=round(seconds * 1000, 3),
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
            if trace := trace_id():
                headers["X-Trace-Id"] = trace
                headers["traceresponse"] = traceresponse()
            preflight = is_preflight(self._request)
            self._cors.mark(self._request.headers, headers, preflight=preflight)
        await self._send(message)
