"""How to see from outside that a process is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SECONDS = 2.0
_OK = 200


def serving(target: str, service: str) -> Callable[[], Awaitable[bool]]:
    """Return the question whether `service` serves, to grpc.health.v1 at `target`."""

    async def ask() -> bool:
        async with open_channel(target) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(
                    health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS
                )
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ask


def answering(url: str) -> Callable[[], Awaitable[bool]]:
    """Return the question whether `url` answers 200."""

    async def ask() -> bool:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(url) as answer,
            ):
                return answer.status == _OK
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    return ask
