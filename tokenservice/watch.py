"""Watches what tokens cannot be issued without, and reports it to the health board."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.errors import ServiceError
from serving.health import SERVING
from tokenservice.errors import PolicyUnavailable

if TYPE_CHECKING:
    from serving.health import HealthBoard
    from tokenservice.gemini import GeminiMinter

log = structlog.get_logger(__name__)

POLICY = "policy"
GEMINI = "gemini"
_POLICY_SERVICE = "policy.v1.PolicyService"
_RECONNECT_SECONDS = 0.25
_FAST_PROBE_SECONDS = 2.0
_PROBE_TIMEOUT_SECONDS = 4.0


async def watch_policy(channel: grpc.aio.Channel, board: HealthBoard) -> NoReturn:
    """Follow policy's own health, as it says and when it says it."""
    stub: Any = health_pb2_grpc.HealthStub(channel)  # typed for synchronous channels only
    request = health_pb2.HealthCheckRequest(service=_POLICY_SERVICE)
    while True:
        try:
            async for answer in stub.Watch(request):
                serving = answer.status == health_pb2.HealthCheckResponse.SERVING
                await _report(board, POLICY, SERVING if serving else PolicyUnavailable.reason)
        except grpc.aio.AioRpcError:
            pass
        await _report(board, POLICY, PolicyUnavailable.reason)
        await asyncio.sleep(_RECONNECT_SECONDS)


async def watch_gemini(minter: GeminiMinter, board: HealthBoard, interval: float) -> NoReturn:
    """Ask Gemini every `interval` seconds, more often while it does not answer."""
    while True:
        try:
            await minter.check(_PROBE_TIMEOUT_SECONDS)
        except ServiceError as error:
            await _report(board, GEMINI, error.reason)
            await asyncio.sleep(min(interval, _FAST_PROBE_SECONDS))
        else:
            await _report(board, GEMINI, SERVING)
            await asyncio.sleep(interval)


async def _report(board: HealthBoard, dependency: str, state: str) -> None:
    if await board.report(dependency, state):
        log.info("dependency", name=dependency, state=state)
