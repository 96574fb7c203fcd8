"""Callers of policy.v1: python chaos_policy_load.py LOAD.json.

Each does what tokenservice does, on whichever policy, and also what it does seldom or never:
forgets reservations, commits fewer than it reserved, commits after its lease while another
attempt is at work, releases what is committed, asks twice at once.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
import uuid
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
from chaos_history import Attempt, Heard
from chaos_workers import Worker, among, run_workers, tier

from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

FINGERPRINT = b"print"
_SECONDS = 1.0
_KEPT_MS = 3_600_000
_FATES = {
    "commit": 0.74,
    "commit slowly": 0.06,
    "commit late": 0.06,
    "release": 0.08,
    "forget": 0.06,
}
_COUNTS = {"1": 0.7, "2": 0.15, "3": 0.15}
_AGAIN = 0.1


def reserve_request(user: str, request: str, owner: bytes, count: int = 1) -> pb.ReserveRequest:
    """Ask for tokens."""
    return pb.ReserveRequest(
        key=pb.ReservationKey(subject=user, request_id=request, owner=owner),
        fingerprint=FINGERPRINT,
        count=count,
        tier=tier(user),
    )


class Callers:
    """The callers of one process."""

    def __init__(self, worker: Worker, stubs: list[policy_pb2_grpc.PolicyServiceAsyncStub]) -> None:
        """Call any of `stubs`."""
        self._worker = worker
        self._stubs = stubs
        self._notes = worker.history.notes

    async def call(self) -> None:
        """Make a request, with one attempt; or two at once, or another afterwards."""
        user, request = self._worker.user(), uuid.uuid4().hex
        count = int(among(_COUNTS))
        if random.random() < _AGAIN:  # noqa: S311 - chaos
            await asyncio.gather(*(self._attempt(user, request, count) for _ in range(2)))
        else:
            await self._attempt(user, request, count)
        if random.random() < _AGAIN:  # noqa: S311 - chaos
            await self._attempt(user, request, count)

    async def _attempt(self, user: str, request: str, count: int) -> None:
        owner, began = secrets.token_bytes(8), time.monotonic()
        asked = reserve_request(user, request, owner, count)
        for _ in range(2):  # the same attempt may ask again
            with suppress(grpc.aio.AioRpcError):
                answer = await self._any.Reserve(asked, timeout=_SECONDS)
                break
            self._notes["reserve unanswered"] += 1
        else:
            if random.random() < 0.5:  # noqa: S311 - as tokenservice does
                await self._release(asked.key)
            return
        match answer.WhichOneof("outcome"):
            case "refusal":
                self._notes[pb.Refusal.Reason.Name(answer.refusal.reason)] += 1
            case "replay":
                self._notes["replay"] += 1
                tokens = json.loads(answer.replay.sealed_result)
                self._hear(user, request, Heard.TOKENS, began, tokens)
            case _:
                self._notes["reserved"] += 1
                await self._settle(asked)

    async def _settle(self, asked: pb.ReserveRequest) -> None:
        fate = among(_FATES)
        self._notes[fate] += 1
        await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - a mint
        match fate:
            case "release":
                await self._release(asked.key)
            case "commit late":
                await asyncio.sleep(self._worker.load.lease * 1.1)
                await asyncio.gather(self._taken_over(asked), self._commit(asked, late=True))
            case "commit slowly":
                await asyncio.sleep(self._worker.load.lease * random.uniform(0.2, 0.9))  # noqa: S311
                await self._commit(asked)
            case "commit":
                await self._commit(asked)

    async def _commit(self, asked: pb.ReserveRequest, *, late: bool = False) -> None:
        user, request = asked.key.subject, asked.key.request_id
        made = random.randint(1, asked.count)  # noqa: S311 - chaos
        tokens = [f"{asked.key.owner.hex()}-{number}" for number in range(made)]
        word = pb.CommitRequest(
            key=asked.key, sealed_result=json.dumps(tokens).encode(), tier=asked.tier
        )
        sent = time.monotonic()
        for _ in range(made):
            word.token_expire_times.add().FromMilliseconds(_in_an_hour())
        word.sealed_expire_time.FromMilliseconds(_in_an_hour())
        heard = Heard.NOTHING
        for attempt in range(2):
            with suppress(grpc.aio.AioRpcError):
                answer = await self._any.Commit(word, timeout=_SECONDS)
                if answer.outcome == pb.CommitResponse.OUTCOME_COMMITTED:
                    heard = Heard.TOKENS
                elif not attempt:
                    heard = Heard.LOST
                break
            self._notes["commit unanswered"] += 1
        self._notes[f"{'late ' if late else ''}commit: {heard}"] += 1
        self._hear(user, request, heard, sent, tokens)
        if random.random() < (0.5 if heard is Heard.NOTHING else _AGAIN):  # noqa: S311 - chaos
            await self._release(asked.key)

    async def _taken_over(self, asked: pb.ReserveRequest) -> None:
        if random.random() < 0.5:  # noqa: S311 - chaos
            await self._attempt(asked.key.subject, asked.key.request_id, asked.count)

    async def _release(self, key: pb.ReservationKey) -> None:
        try:
            await self._any.Release(pb.ReleaseRequest(key=key), timeout=_SECONDS)
        except grpc.aio.AioRpcError:
            self._notes["release unanswered"] += 1

    def _hear(self, user: str, request: str, heard: Heard, sent: float, tokens: list[str]) -> None:
        had = tuple(tokens) if heard is Heard.TOKENS else ()
        self._worker.history.add(Attempt(user, request, heard, sent, time.monotonic(), had))

    @property
    def _any(self) -> policy_pb2_grpc.PolicyServiceAsyncStub:
        return random.choice(self._stubs)  # noqa: S311 - chaos


def _in_an_hour() -> int:
    return time.time_ns() // 1_000_000 + _KEPT_MS


async def work(worker: Worker) -> None:
    """Be all callers of one process."""
    async with AsyncExitStack() as stack:
        stubs: list[Any] = []
        for target in worker.load.targets:
            channel = await stack.enter_async_context(open_channel(target))
            stubs.append(policy_pb2_grpc.PolicyServiceStub(channel))
        await worker.call_all(Callers(worker, stubs).call)


if __name__ == "__main__":
    run_workers(work)
