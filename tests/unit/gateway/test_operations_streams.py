"""Streams of what operators watch end without a trace of how they were left."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from gateway.operations import OperationsCaller
from gateway.transcoding.calling import CallOptions, Reply, ReplyStream
from gateway.transcoding.errors import CallFailedError
from serving.recent import RecentDurations


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
