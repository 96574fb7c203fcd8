"""Streams of what operators watch, however long they last and however they are left."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from span_tap import tapped
from starlette.datastructures import Headers

from gateway.operations import SERVICE, OperationsCaller
from gateway.tracing import TracedCaller, request_span
from gateway.transcoding.calling import CallOptions, Reply, ReplyStream
from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.router import make_router
from serving.recent import RecentDurations
from tokenservice.v1.operations_pb2 import WatchOperationsRequest


class Failing:
    """Makes streams that fail once they may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def unary(self, *_: Any) -> Reply:
        """Never called."""
        raise AssertionError

    @asynccontextmanager
    async def stream(self, *_: Any) -> AsyncIterator[ReplyStream]:
        """Yield a stream."""

        async def messages() -> AsyncIterator[Any]:
            yield object()
            await self.may.wait()
            raise CallFailedError(grpc.StatusCode.UNAUTHENTICATED)

        yield ReplyStream(messages())


@pytest.mark.parametrize("turns", range(6))
async def test_who_leaves_as_the_stream_fails_leaves_no_line(turns: int) -> None:
    """However close both are: nobody is told of an error that nobody asked for."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    failing = Failing()
    caller = OperationsCaller(failing, failing, RecentDurations(lambda: 0), asyncio.Event())
    nothing: Any = None

    async def watch() -> None:
        async with caller.stream(nothing, nothing, CallOptions()) as replies:
            async for _ in replies.messages:
                pass

    watching = asyncio.create_task(watch())
    for _ in range(10):  # until it waits
        await asyncio.sleep(0)
    failing.may.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    watching.cancel()
    await asyncio.wait({watching})
    assert watching.cancelled() or isinstance(watching.exception(), CallFailedError)
    del watching
    gc.collect()
    assert told == []


async def test_who_watches_for_long_is_not_slow() -> None:
    """A stream lasts as long as its caller likes: that alone keeps no span of its request."""
    (binding,) = (each for each in make_router([SERVICE]).bindings if each.streams)
    failing, nothing = Failing(), CallOptions()
    caller = TracedCaller(failing)
    with tapped() as tap:
        for seconds in (0, 60):
            with request_span("GET", binding.template.text, Headers()):
                async with caller.stream(binding, WatchOperationsRequest(), nothing):
                    tap.clock.advance(seconds)
        assert tap.names == []
