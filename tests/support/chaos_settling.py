"""The end of an attack: leases run out, what is unknown is asked for again, the books are read."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc
from chaos_history import Attempt, Heard
from chaos_policy_load import reserve_request
from chaos_workers import tier

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

if TYPE_CHECKING:
    from chaos_history import History

_SECONDS = 2.0


async def settle(history: History, targets: list[str], lease: float) -> int:
    """Wait for the leases, recover what is unknown; return how many tokens that were."""
    async with AsyncExitStack() as stack:
        stubs: list[Any] = []
        for target in targets:
            channel = await stack.enter_async_context(open_channel(target))
            stubs.append(policy_pb2_grpc.PolicyServiceStub(channel))
        await no_pending(stubs[0], lease)
        recovered = 0
        for number, lost in enumerate(history.open.values()):
            recovered += await _recover(stubs[number % len(stubs)], history, lost)
        await no_pending(stubs[0], lease)
        return recovered


async def _recover(stub: Any, history: History, lost: Attempt) -> int:
    asked = reserve_request(lost.user, lost.request, secrets.token_bytes(8))
    answer = await stub.Reserve(asked, timeout=_SECONDS)
    match answer.WhichOneof("outcome"):
        case "replay":
            tokens = tuple(json.loads(answer.replay.sealed_result))
            again = Attempt(
                lost.user, lost.request, Heard.TOKENS, lost.sent, time.monotonic(), tokens
            )
            history.add(again)
            return len(tokens)
        case "reservation":  # it had not been committed
            assert (await stub.Release(pb.ReleaseRequest(key=asked.key), timeout=_SECONDS)).released
        case _:
            limits = {
                pb.Refusal.REASON_COOLDOWN,
                pb.Refusal.REASON_TOKENS_PER_HOUR,
                pb.Refusal.REASON_TOKENS_PER_DAY,
            }
            assert answer.refusal.reason in limits, answer.refusal
    return 0


async def settled(targets: list[str], lease: float) -> None:
    """Wait until no reservation is pending."""
    async with open_channel(targets[0]) as channel:
        await no_pending(policy_pb2_grpc.PolicyServiceStub(channel), lease)


async def no_pending(stub: Any, lease: float) -> None:
    """Wait until no reservation is pending: a lease at most, and what was on its way before."""
    ends = time.monotonic() + lease + 3
    while True:
        stats = await stub.GetStats(pb.GetStatsRequest(), timeout=_SECONDS)
        if not stats.pending_reservations:
            return
        assert time.monotonic() < ends, f"{stats.pending_reservations} are pending after the lease"
        await asyncio.sleep(0.1)


async def charged(users: set[str], target: str) -> dict[str, int]:
    """Return how many tokens policy counts of each user."""
    async with open_channel(target) as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)

        async def count(user: str) -> int:
            asked = pb.GetUsageRequest(subject=user, tier=tier(user))
            answer = await stub.GetUsage(asked, timeout=_SECONDS)
            return int(answer.usage.tokens_last_hour)

        return {user: await count(user) for user in sorted(users)}
