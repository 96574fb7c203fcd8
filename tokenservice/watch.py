"""Watches what tokens cannot be issued without, and reports it to the health board."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.errors import ServiceError
from serving.health import SERVING
from tokenservice.errors import PolicyUnavailable, UpstreamMisconfigured

if TYPE_CHECKING:
    from serving.health import HealthBoard
    from tokenservice.deadline import Deadline
    from tokenservice.gemini import GeminiMinter
    from tokenservice.grant import Grant
    from tokenservice.issuer import Minter
    from tokenservice.token import EphemeralToken, Lifetime

log = structlog.get_logger(__name__)

POLICY = "policy"
GEMINI = "gemini"
_POLICY_SERVICE = "policy.v1.PolicyService"
_POLICY_INTERVAL_SECONDS = 0.5
_POLICY_TIMEOUT_SECONDS = 1.0
_FAST_PROBE_SECONDS = 2.0
_PROBE_TIMEOUT_SECONDS = 4.0


async def watch_policy(channel: grpc.aio.Channel, board: HealthBoard) -> NoReturn:
    """Ask policy for its own health, again and again.

    Not by its `Watch`: a stream says nothing when the other side hangs.
    """
    stub: Any = health_pb2_grpc.HealthStub(channel)  # typed for synchronous channels only
    request = health_pb2.HealthCheckRequest(service=_POLICY_SERVICE)
    while True:
        try:
            answer = await stub.Check(request, timeout=_POLICY_TIMEOUT_SECONDS)
            serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        except grpc.aio.AioRpcError:
            serving = False
        await _report(board, POLICY, SERVING if serving else PolicyUnavailable.reason)
        await asyncio.sleep(_POLICY_INTERVAL_SECONDS)


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


class ReportingMinter:
    """Mints, and reports what only a mint can show: a key that may ask, but not mint."""

    def __init__(self, minter: Minter, board: HealthBoard) -> None:
        """Mint with `minter`, report to `board`."""
        self._minter = minter
        self._board = board

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """See Minter."""
        try:
            token = await self._minter.mint(grant, lifetime, deadline)
        except UpstreamMisconfigured as error:
            await _report(self._board, GEMINI, error.reason)
            raise
        await _report(self._board, GEMINI, SERVING)
        return token


async def _report(board: HealthBoard, dependency: str, state: str) -> None:
    if await board.report(dependency, state):
        tell = log.info if state == SERVING else log.warning
        tell("dependency", name=dependency, state=state)
