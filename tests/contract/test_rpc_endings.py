"""However an RPC ends, one line says so: `rpc`, with its code."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import struct_pb2
from metering import Measured
from structlog.testing import capture_logs

from serving import errors, metrics
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server
from serving.shedding import Shedding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Behavior = Callable[[Any, Any], Awaitable[Any]]

DO, WATCH = "test.Service/Do", "test.Service/Watch"
_PATIENCE = 20.0
GOOD = struct_pb2.Value(number_value=1).SerializeToString()
NO_MESSAGE = b"\xff\xff"


async def once(request: Any, _context: Any) -> AsyncIterator[Any]:
    """Answer in a stream of one."""
    yield request


@asynccontextmanager
async def serving(
    path: Path,
    behavior: Behavior,
    *,
    watch: Callable[[Any, Any], AsyncIterator[Any]] = once,
    most: int = 9,
    grace: float = 0,
) -> AsyncIterator[grpc.aio.Channel]:
    """Serve one method that does `behavior`, and a stream; the channel leads there."""
    coding: dict[str, Any] = {
        "request_deserializer": struct_pb2.Value.FromString,
        "response_serializer": struct_pb2.Value.SerializeToString,
    }
    handlers = {
        "Do": grpc.unary_unary_rpc_method_handler(behavior, **coding),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, **coding),
    }
    generic = grpc.method_handlers_generic_handler("test.Service", handlers)
    address = f"unix:{path}/s"
    async with (
        open_channel(address) as channel,
        grpc_server(
            [address],
            lambda server: server.add_generic_rpc_handlers((generic,)),
            health=HealthBoard(["test.Service"]),
            services=["test.Service"],
            interceptors=[RequestInterceptor(), Shedding(most)],
            grace=grace,
        ),
    ):
        yield channel


async def echo(request: Any, _context: Any) -> Any:
    """Answer."""
    return request


async def refuse(_request: Any, _context: Any) -> Any:
    """Refuse."""
    raise errors.PermissionDenied


async def break_down(_request: Any, _context: Any) -> Any:
    """Have a defect."""
    raise ZeroDivisionError


async def code_of(channel: grpc.aio.Channel, method: str, data: bytes = GOOD, **more: Any) -> str:
    """Call a method with bytes; return how it ends."""
    call: Any = (channel.unary_stream if method == WATCH else channel.unary_unary)(f"/{method}")
    try:
        answer = call(data, **more)
        if method == WATCH:
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def told(logs: Any) -> list[tuple[str, str, str]]:
    """Return level, method and code of the lines that tell of RPCs."""
    return [
        (line["log_level"], line["method"], line["code"]) for line in logs if line["event"] == "rpc"
    ]


async def until_told(logs: Any, count: int = 1) -> list[tuple[str, str, str]]:
    """Wait for so many lines: a caller has its answer before the line is written."""
    async with asyncio.timeout(_PATIENCE):
        while len(told(logs)) < count:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.005)
    return sorted(told(logs))


@pytest.mark.parametrize(
    "method, data, behavior, ending",
    [
        (DO, GOOD, echo, "info OK"),
        (DO, GOOD, refuse, "info PERMISSION_DENIED"),
        (DO, GOOD, break_down, "warning INTERNAL"),
        (DO, NO_MESSAGE, echo, "info INVALID_ARGUMENT"),
        (WATCH, NO_MESSAGE, echo, "info INVALID_ARGUMENT"),
        (WATCH, GOOD, echo, "info OK"),
        ("test.Service/Nothing", GOOD, echo, "info UNIMPLEMENTED"),
        ("nobody.Knows/It", NO_MESSAGE, echo, "info UNIMPLEMENTED"),
    ],
)
async def test_an_rpc_is_told_once(
    tmp_path: Path, method: str, data: bytes, behavior: Behavior, ending: str
) -> None:
    """An answer, a refusal, a defect, bytes that are no message, a method that there is not."""
    async with serving(tmp_path, behavior) as channel:
        with capture_logs() as logs:
            code = await code_of(channel, method, data)
            await until_told(logs)
    assert [(f"{level} {said}", name) for level, name, said in told(logs)] == [(ending, method)]
    assert ending.split()[1] == code


async def test_a_method_of_a_stranger_is_cut(tmp_path: Path) -> None:
    """A name that somebody made up takes 100 characters of a line, and stays nowhere else."""
    async with serving(tmp_path, echo) as channel:
        with capture_logs() as logs:
            for number in range(3):
                await code_of(channel, "x" * 3_000 + str(number))
            lines = await until_told(logs, 3)
    assert lines == [("info", "x" * 100, "UNIMPLEMENTED")] * 3


async def test_a_call_that_is_shed_is_told(tmp_path: Path) -> None:
    """Beyond what may be at work, a call ends in UNAVAILABLE, and a line says so."""
    held, begun = asyncio.Event(), asyncio.Event()

    async def hold(request: Any, _context: Any) -> Any:
        begun.set()
        await held.wait()
        return request

    async with serving(tmp_path, hold, most=1) as channel:
        with capture_logs() as logs:
            first = asyncio.create_task(code_of(channel, DO))
            await begun.wait()
            assert await code_of(channel, DO) == "UNAVAILABLE"
            held.set()
            assert await first == "OK"
            lines = await until_told(logs, 2)
    assert lines == [("info", DO, "OK"), ("warning", DO, "UNAVAILABLE")]


@pytest.mark.parametrize("how", ["leaves", "deadline", "drain"])
async def test_a_call_that_is_cut_off_is_told(tmp_path: Path, how: str) -> None:
    """A caller that leaves, a deadline that passes, a drain that is too short: one line."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(_request: Any, _context: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with capture_logs() as logs:
        async with serving(tmp_path, hang) as channel:
            timeout = 1 if how == "deadline" else None
            call = asyncio.create_task(code_of(channel, DO, timeout=timeout))
            await asyncio.wait_for(begun.wait(), _PATIENCE)
            if how == "leaves":
                call.cancel()
            if how != "drain":
                await asyncio.wait_for(ended.wait(), _PATIENCE)
        await asyncio.gather(call, return_exceptions=True)
        assert ended.is_set()
        lines = await until_told(logs)
    assert [(method, code) for _, method, code in lines] == [(DO, "CANCELLED")]


async def test_a_stream_whose_end_is_a_defect_is_told(tmp_path: Path) -> None:
    """Its caller has left; and yet it is not at work for ever, and the defect is logged."""

    async def watch(request: Any, _context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield request
        finally:
            raise ZeroDivisionError

    measured = Measured()
    async with serving(tmp_path, echo, watch=watch) as channel:
        with capture_logs() as logs:
            make: Any = channel.unary_stream
            call = make(f"/{WATCH}")(GOOD)
            await call.read()
            call.cancel()
            assert await until_told(logs) == [("info", WATCH, "CANCELLED")]
    assert [line["log_level"] for line in logs if line["event"] == "rpc failed"] == ["error"]
    assert measured.more(metrics.RPC_ACTIVE) == 0
