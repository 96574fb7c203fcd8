"""What a gRPC server of ours does with too many calls, and with connections that grow old."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving import channel as channel_module, rendering, server as server_module
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server
from serving.shedding import MAX_STREAMS, Shedding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WORK, STATUS, FOLLOW = "/test.Service/Work", "/test.Service/Status", "/test.Service/Follow"


class Service:
    """Works for as long as it is held, and fails if it is told to."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.at_work = 0
        self.begun = asyncio.Condition()
        self.peers: set[str] = set()
        self.failure: Exception | None = None

    async def work(self, request: Any, context: Any) -> Any:
        """Work."""
        self.peers.add(context.peer())
        async with self.begun:
            self.at_work += 1
            self.begun.notify_all()
        try:
            await self.held.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.at_work -= 1
            self._told = asyncio.ensure_future(self._tell())
        return request

    async def _tell(self) -> None:
        async with self.begun:
            self.begun.notify_all()

    async def status(self, request: Any, _context: Any) -> Any:
        """Answer at once."""
        return request

    async def follow(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Answer at once, and once more at the end of the work."""
        yield request
        yield await self.work(request, context)

    async def busy(self, count: int) -> None:
        """Wait until so many calls are at work."""
        async with self.begun:
            await self.begun.wait_for(lambda: self.at_work == count)


@asynccontextmanager
async def serving(service: Service, address: str, most: int) -> AsyncIterator[grpc.aio.Channel]:
    """Serve on an address; the channel leads there."""
    kinds: dict[str, Any] = {
        "request_deserializer": empty_pb2.Empty.FromString,
        "response_serializer": empty_pb2.Empty.SerializeToString,
    }
    handlers = {
        "Work": grpc.unary_unary_rpc_method_handler(service.work, **kinds),
        "Status": grpc.unary_unary_rpc_method_handler(service.status, **kinds),
        "Follow": grpc.unary_stream_rpc_method_handler(service.follow, **kinds),
    }
    generic = grpc.method_handlers_generic_handler("test.Service", handlers)
    async with (
        grpc_server(
            [address],
            lambda server: server.add_generic_rpc_handlers((generic,)),
            health=HealthBoard(["test.Service"]),
            services=["test.Service"],
            interceptors=[RequestInterceptor(), Shedding(most, exempt=frozenset({STATUS}))],
            grace=0,
        ),
        open_channel(address) as channel,
    ):
        yield channel


def call(channel: grpc.aio.Channel, method: str = WORK) -> Any:
    """Call a method."""
    return channel.unary_unary(
        method,
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=empty_pb2.Empty.FromString,
    )(empty_pb2.Empty())


def follow(channel: grpc.aio.Channel) -> Any:
    """Open a stream."""
    return channel.unary_stream(
        FOLLOW,
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=empty_pb2.Empty.FromString,
    )(empty_pb2.Empty())


async def check_shed(attempt: Any) -> None:
    """Check that a call ends in UNAVAILABLE, with a reason and when to come back."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attempt
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = {str(key): value for key, value in refused.value.trailing_metadata() or ()}
    status = status_pb2.Status.FromString(trailers[rendering.DETAILS_KEY])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain) == ("UPSTREAM_UNAVAILABLE", "live-token")
    assert retry.retry_delay.seconds == 1


async def test_calls_beyond_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    """They do not wait; health and what is exempt is answered; who ends makes room."""
    service = Service()
    async with serving(service, f"unix:{tmp_path}/s", 2) as channel:
        calls = [asyncio.ensure_future(call(channel)) for _ in range(2)]
        await service.busy(2)
        for _ in range(3):
            await check_shed(call(channel))
        await call(channel, STATUS)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        health = await stub.Check(health_pb2.HealthCheckRequest(service="test.Service"))
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        service.held.set()
        await asyncio.gather(*calls)
        await asyncio.gather(call(channel), call(channel))


@pytest.mark.parametrize("failure", [None, ZeroDivisionError()])
async def test_whoever_ends_makes_room(tmp_path: Path, failure: Exception | None) -> None:
    """However a call ends, in an error or because its caller left, its place is free again."""
    service = Service()
    service.failure = failure
    async with serving(service, f"unix:{tmp_path}/s", 1) as channel:
        leaving = call(channel)
        waiting = asyncio.ensure_future(leaving)
        await service.busy(1)
        await check_shed(call(channel))
        if failure is None:
            waiting.cancel()
            await service.busy(0)
        service.held.set()
        await asyncio.gather(waiting, return_exceptions=True)
        service.failure = None
        await call(channel)


async def test_streams_take_no_place_of_a_call(tmp_path: Path) -> None:
    """As many streams as may be leave calls their places, and calls leave them theirs."""
    service = Service()
    async with serving(service, f"unix:{tmp_path}/s", 1) as channel:
        streams = [follow(channel) for _ in range(MAX_STREAMS)]
        for stream in streams:
            await stream.read()
        await service.busy(MAX_STREAMS)
        await check_shed(follow(channel).read())
        calling = asyncio.ensure_future(call(channel))
        await service.busy(MAX_STREAMS + 1)
        await check_shed(call(channel))
        streams[0].cancel()
        await service.busy(MAX_STREAMS)
        assert await follow(channel).read() == empty_pb2.Empty()
        service.held.set()
        await calling
        for stream in streams[1:]:
            assert await stream.read() == empty_pb2.Empty()
            assert await stream.read() is grpc.aio.EOF


async def test_old_connections_end_without_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server lets a connection go when its time is over, and no call notices."""
    options = dict(server_module._OPTIONS) | {"grpc.max_connection_age_ms": 300}
    monkeypatch.setattr(server_module, "_OPTIONS", list(options.items()))
    service = Service()
    service.held.set()
    address = f"127.0.0.1:{free_port()}"
    async with serving(service, address, 100) as channel:
        while len(service.peers) < 4:
            await asyncio.gather(*(call(channel) for _ in range(5)))


def test_our_pings_are_not_punished() -> None:
    """A channel of ours, with a call under way, never pings as often as a server forbids."""
    allowed = dict(server_module._OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"]
    assert dict(channel_module._OPTIONS)["grpc.keepalive_time_ms"] >= 2 * allowed


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
