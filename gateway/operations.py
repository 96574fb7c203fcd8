"""What operators watch, as far as it is the gateway's: how long requests for a token took here.

Their API is for pages of the gateway's own origin alone, and its streams end when the
gateway stops: nobody waits for who only watches.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.transcoding.calling import Caller, CallOptions, Reply, ReplyStream
from gateway.transcoding.router import Router
from gateway.transcoding.rules import Binding
from serving.recent import RecentDurations
from tokenservice.v1 import operations_pb2 as pb, tokenservice_pb2

SERVICE = pb.DESCRIPTOR.services_by_name["OperationsService"]
_CREATE = tokenservice_pb2.DESCRIPTOR.services_by_name["TokenService"].methods_by_name[
    "CreateToken"
]
_PATHS = "/api/v1/operations"
_HOP = "gateway"


class Measured:
    """Wraps an ASGI application: notes how long requests for a token take, all in all.

    Pages of other origins are to it as programs are, where the path is an operator's: no
    answer has a word that would let a browser show it to them.
    """

    def __init__(self, app: ASGIApp, router: Router, recent: RecentDurations) -> None:
        """Measure what `router` has for CreateToken."""
        self._app = app
        self._recent = recent
        self._measured = frozenset(
            (each.http_method, each.template.text)
            for each in router.bindings
            if each.rpc.full_name == _CREATE.full_name
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(_PATHS):
            headers = [each for each in scope["headers"] if each[0] != b"origin"]
            await self._app({**scope, "headers": headers}, receive, send)
        elif (scope["method"], scope["path"].rstrip("/")) in self._measured:
            with self._recent.timing():
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class OperationsCaller:
    """Makes RPCs. Streams end with the gateway, and have places of their own.

    To what operators watch is added what was measured here.
    """

    def __init__(
        self, unary: Caller, streams: Caller, recent: RecentDurations, stop: asyncio.Event
    ) -> None:
        """Make streams by `streams`, and end them when `stop` is set."""
        self._unary = unary
        self._streams = streams
        self._recent = recent
        self._stop = stop

    async def unary(self, binding: Binding, request: Message, options: CallOptions) -> Reply:
        """Return the reply. Raises CallFailedError."""
        return await self._unary.unary(binding, request, options)

    @asynccontextmanager
    async def stream(
        self, binding: Binding, request: Message, options: CallOptions
    ) -> AsyncIterator[ReplyStream]:
        """Return the replies, with the gateway's own part of the way. Raises CallFailedError."""
        async with (
            self._streams.stream(binding, request, options) as replies,
            aclosing(_until(self._stop, replies.messages)) as messages,
        ):
            yield replace(replies, messages=self._completed(messages))

    async def _completed(self, messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for message in messages:
            if isinstance(message, pb.WatchOperationsResponse):
                message.hops.insert(0, self._hop())
            yield message

    def _hop(self) -> pb.Hop:
        took = self._recent.quantiles()
        if not took.count:
            return pb.Hop(name=_HOP)
        return pb.Hop(name=_HOP, count=took.count, p50=_time(took.p50), p99=_time(took.p99))


async def _until(
    stop: asyncio.Event, messages: AsyncIterator[Message]
) -> AsyncGenerator[Message, None]:
    """Yield messages until there are no more, or until `stop` is set."""
    stopping = asyncio.ensure_future(stop.wait())
    pending: asyncio.Future[Message | None] | None = None
    try:
        while True:
            pending = asyncio.ensure_future(_next(messages))
            await asyncio.wait({pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not pending.done() or (message := pending.result()) is None:
                return
            yield message
    finally:
        tasks = [each for each in (pending, stopping) if each is not None]
        for each in tasks:
            each.cancel()
        # Also one that has just failed, or asyncio would log that nobody asked how it ended.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _next(messages: AsyncIterator[Message]) -> Message | None:
    return await anext(messages, None)


def _time(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration
