"""A caller of the stack, over HTTP and over gRPC."""

from __future__ import annotations

import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from secrets_watch import WATCH

from serving.channel import open_channel
from tokenservice.v1 import tokenservice_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stack.layout import Layout

TOKEN_PATH = "/api/v1/live-token"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Caller:
    """A user of the stack."""

    layout: Layout
    http: aiohttp.ClientSession
    grpc: tokenservice_pb2_grpc.TokenServiceAsyncStub

    def bearer(self, subject: str, **claims: object) -> str:
        """Return an authorization of `subject`."""
        return f"Bearer {self.layout.bearer(subject, time.time(), **claims)}"

    async def call(
        self, method: str = "POST", path: str = TOKEN_PATH, *, subject: str = "", **request: Any
    ) -> Answer:
        """Call the gateway, as `subject` if there is one."""
        headers = dict(request.pop("headers", {}))
        if subject:
            headers["Authorization"] = self.bearer(subject)
        url = f"{self.layout.gateway_url}{path}"
        async with self.http.request(method, url, headers=headers, **request) as answer:
            body = await answer.json()
            WATCH.know("a token", body.get("token", ""))
            return Answer(answer.status, dict(answer.headers), body)

    async def emulator(self, method: str, path: str, content: Any = None) -> Any:
        """Ask the emulator's control API."""
        url = f"{self.layout.emulator_url}/emulator/v1/{path}"
        async with self.http.request(method, url, json=content) as answer:
            answer.raise_for_status()
            return await answer.json()


@asynccontextmanager
async def caller(layout: Layout) -> AsyncIterator[Caller]:
    """Open the connections of a caller."""
    async with (
        aiohttp.ClientSession(trust_env=False) as http,
        open_channel(layout.tokenservice_target) as channel,
    ):
        yield Caller(layout, http, tokenservice_pb2_grpc.TokenServiceStub(channel))


def new_user() -> str:
    """Return a subject that nobody used before."""
    return f"user-{uuid.uuid4().hex}"
