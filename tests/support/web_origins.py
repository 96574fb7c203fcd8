"""Origins beside the gateway's: one of pages that use the client, and one that counts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from client_types import CLIENT
from node_tools import node_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES = Path(__file__).parents[2] / "examples" / "javascript"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@asynccontextmanager
async def pages() -> AsyncIterator[str]:
    """Serve the examples, as after `npm install`; yield their origin."""
    app = web.Application()
    installed = "/node_modules"
    app.router.add_static(f"{installed}/live-token-client", CLIENT)
    app.router.add_static(f"{installed}/@google", node_tools() / "node_modules" / "@google")
    app.router.add_static("/", EXAMPLES)
    async with _served(app) as origin:
        yield origin


class Counting:
    """Passes requests on to a gateway, and keeps which there were."""

    def __init__(self, gateway: str, session: aiohttp.ClientSession) -> None:
        """Pass them to `gateway`, an origin."""
        self.origin = ""
        self.seen: list[tuple[str, int]] = []
        """The method and the answer's status of each."""
        self._gateway = gateway
        self._session = session

    def count(self, method: str) -> int:
        """Return how many requests there were by `method`."""
        return sum(seen == method for seen, _ in self.seen)

    async def passed_on(self, request: web.Request) -> web.Response:
        """Answer as the gateway does."""
        async with self._session.request(
            request.method,
            self._gateway + request.path_qs,
            headers=request.headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            self.seen.append((request.method, answer.status))
            kept = answer.headers.copy()
            for name in _HOP_BY_HOP:
                kept.popall(name, None)
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


@asynccontextmanager
async def counting(gateway: str) -> AsyncIterator[Counting]:
    """Stand before `gateway`, an origin."""
    async with aiohttp.ClientSession(trust_env=False, auto_decompress=False) as session:
        counter = Counting(gateway, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", counter.passed_on)
        async with _served(app) as counter.origin:
            yield counter


@asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
