"""The end of an attack: leases run out, what is unknown is asked for again, the books are read.

Nobody is killed any more, but the machine may be slow: what is not answered is asked again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from chaos_history import Attempt, Heard
from chaos_policy_load import reserve_request
from chaos_workers import tier

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chaos_history import History

_SECONDS = 2.0
_PATIENCE = 20.0
_ON_THE_WAY = 3.0
_LIMITS = {
    pb.Refusal.REASON_COOLDOWN,
    pb.Refusal.REASON_TOKENS_PER_HOUR,
    pb.Refusal.REASON_TOKENS_PER_DAY,
}


class Books:
    """What policy knows."""

    def __init__(self, stub: Any) -> None:
        """Ask through `stub`."""
        self._stub = stub

    async def settled(self, lease: float) -> None:
        """Wait until no reservation is pending: a lease, and what was on its way before it."""
        ends = time.monotonic() + lease + _ON_THE_WAY
        while (stats := await self._ask("GetStats", pb.GetStatsRequest())).pending_reservations:
            late = time.monotonic() > ends
            assert not late, f"{stats.pending_reservations} are pending after their lease"
            await asyncio.sleep(0.1)

    async def charged(self, users: set[str]) -> dict[str, int]:
        """Return how many issued tokens count against each user."""
        counts = {}
        for user in sorted(users):
            asked = pb.GetUsageRequest(subject=user, tier=tier(user))
            counts[user] = (await self._ask("GetUsage", asked)).usage.tokens_last_hour
        return counts

    async def recover(self, history: History) -> int:
        """Ask for all that was not answered; return how many tokens that gave."""
        before = sum(history.delivered.values())
        for lost in history.open.values():
            await self._recover(history, lost)
        return sum(history.delivered.values()) - before

    async def _recover(self, history: History, lost: Attempt) -> None:
        asked = reserve_request(lost.user, lost.request, secrets.token_bytes(8))
        answer = await self._ask("Reserve", asked)
        match answer.WhichOneof("outcome"):
            case "replay":
                tokens = tuple(json.loads(answer.replay.sealed_result))
                now = time.monotonic()
                again = Attempt(lost.user, lost.request, Heard.TOKENS, lost.sent, now, tokens)
                history.add(again)
            case "reservation":  # it had not been committed
                await self._ask("Release", pb.ReleaseRequest(key=asked.key))
            case _:  # nor had it now
                assert answer.refusal.reason in _LIMITS, answer.refusal

    async def _ask(self, method: str, request: Any) -> Any:
        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                return await getattr(self._stub, method)(request, timeout=_SECONDS)
            except grpc.aio.AioRpcError:
                if time.monotonic() > ends:
                    raise
                await asyncio.sleep(0.1)


@asynccontextmanager
async def books(target: str) -> AsyncIterator[Books]:
    """Open the books at a policy."""
    async with open_channel(target) as channel:
        yield Books(policy_pb2_grpc.PolicyServiceStub(channel))
