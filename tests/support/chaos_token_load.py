"""Callers of tokenservice.v1: python chaos_token_load.py LOAD.json.

Each asks for a token with a request id, and asks again with the same one until it is
answered; some hang up early, and some never come back.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
import uuid
from contextlib import AsyncExitStack
from typing import Any

import grpc
import jwt
from chaos_history import Attempt, Heard, History
from chaos_workers import Worker, run_workers, tier

from serving.channel import open_channel
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

_SECONDS = 4.0
_HASTE = 0.1
"""How many hang up after at most `_HASTY_SECONDS`."""
_HASTY_SECONDS = 0.15
_GIVING_UP = 0.03
_AGAIN = 0.1
_REFUSED = grpc.StatusCode.RESOURCE_EXHAUSTED
_IN_USE = grpc.StatusCode.ABORTED
_UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}


class Caller:
    """Asks for tokens, of whichever tokenservice."""

    def __init__(self, stubs: list[Any], history: History, jwt_secret: str) -> None:
        """Write what is heard to `history`."""
        self._stubs = stubs
        self._history = history
        self._secret = jwt_secret
        self._bearers: dict[str, str] = {}

    async def attempt(self, user: str, request: str, seconds: float = _SECONDS) -> Heard:
        """Ask once. Also an answer that the request is in progress tells NOTHING of its end."""
        sent, heard = time.monotonic(), Heard.NOTHING
        tokens: tuple[str, ...] = ()
        stub = random.choice(self._stubs)  # noqa: S311 - chaos
        try:
            answer = await stub.CreateToken(
                pb.CreateTokenRequest(request_id=request),
                metadata=(("authorization", self._bearer(user)),),
                timeout=seconds,
            )
            heard, tokens = Heard.TOKENS, (answer.token,)
            self._history.notes["token"] += 1
        except grpc.aio.AioRpcError as error:
            code = error.code()
            self._history.notes[code.name] += 1
            if code is _REFUSED:
                heard = Heard.REFUSED
            elif code is not _IN_USE and code not in _UNKNOWN:
                raise
        self._history.add(Attempt(user, request, heard, sent, time.monotonic(), tokens))
        return heard

    async def insist(self, user: str, request: str, until: float = math.inf) -> Heard:
        """Ask until there is an answer."""
        while True:
            hasty = random.random() < _HASTE  # noqa: S311 - chaos
            seconds = random.uniform(0, _HASTY_SECONDS) if hasty else _SECONDS  # noqa: S311
            heard = await self.attempt(user, request, seconds)
            gives_up = random.random() < _GIVING_UP or time.monotonic() > until  # noqa: S311
            if heard is not Heard.NOTHING or gives_up:
                return heard
            await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - chaos

    def _bearer(self, user: str) -> str:
        if user not in self._bearers:
            now = int(time.time())
            claims = {"sub": user, "tier": tier(user), "iat": now, "exp": now + 7200}
            self._bearers[user] = f"Bearer {jwt.encode(claims, self._secret, algorithm='HS256')}"
        return self._bearers[user]


async def stubs_of(targets: list[str], stack: AsyncExitStack) -> list[Any]:
    """Open a channel to each of them."""
    channels = [await stack.enter_async_context(open_channel(target)) for target in targets]
    return [tokenservice_pb2_grpc.TokenServiceStub(channel) for channel in channels]


async def work(worker: Worker) -> None:
    """Be all callers of one process."""
    async with AsyncExitStack() as stack:
        stubs = await stubs_of(worker.load.targets, stack)
        caller = Caller(stubs, worker.history, worker.load.jwt_secret)

        async def call() -> None:
            user, request = worker.user(), uuid.uuid4().hex
            await caller.insist(user, request, worker.ends)
            if random.random() < _AGAIN:  # noqa: S311 - chaos
                await caller.attempt(user, request)

        await worker.call_all(call)


if __name__ == "__main__":
    run_workers(work)
