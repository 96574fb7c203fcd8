"""Strangers' requests of every kind, each with names that nobody has used before."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from live_token import CONFIG, HEALTH, MINT, STATS, USAGE

from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from live_token import Chain

_AT_ONCE = 40
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


@dataclass
class Flood:
    """Asks a chain whatever can be asked of it, and remembers what was in it."""

    chain: Chain
    directory: Path
    """Where the chain has its sockets."""
    words: set[str] = field(default_factory=set)
    """Every name that was made up: of users, models, paths, reasons, whatever."""
    addresses: set[str] = field(default_factory=set)

    def word(self) -> str:
        """Return a word that was never used."""
        made = f"x{secrets.token_hex(7)}"
        self.words.add(made)
        return made

    def address(self) -> str:
        """Return an address, which is probably new."""
        made = f"203.0.{random.randrange(256)}.{random.randrange(1, 255)}"  # noqa: S311 - no secret
        self.addresses.add(made)
        return made

    async def wave(self, times: int) -> None:
        """Ask each kind of question `times` times."""
        kinds: Sequence[Callable[[], Awaitable[None]]] = [
            self.mint,
            self.mint_again,
            self.model,
            self.body,
            self.guess,
            self.anonymous,
            self.path,
            self.method,
            self.query,
            self.other_routes,
            self.rpc,
            self.bytes_that_are_no_http,
        ]
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(kind: Callable[[], Awaitable[None]]) -> None:
            async with places:
                await kind()

        async with asyncio.TaskGroup() as group:
            for kind in (kind for _ in range(times) for kind in kinds):
                group.create_task(one(kind))

    async def call(self, method: str, path: str, **request: Any) -> int:
        """Ask over HTTP, with everything in the headers that a caller can make up."""
        headers = {
            "X-Forwarded-For": self.address(),
            "X-Request-Id": self.word(),
            "User-Agent": self.word(),
            "Accept-Language": self.word(),
            "Origin": f"https://{self.word()}.example",
            "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00",
            "tracestate": f"{self.word()}={self.word()}",
            "baggage": f"{self.word()}={self.word()}",
            **request.pop("headers", {}),
        }
        answer = await self.chain.call(method, path, headers=headers, **request)
        return answer.status

    def bearer(self, **claims: Any) -> dict[str, str]:
        """Return the header of a user whom nobody knows."""
        subject = self.word()
        return {"Authorization": f"Bearer {self.chain.bearer(subject, **claims)}"}

    async def mint(self) -> None:
        """Get a token, as a new user, of a tier that there is not."""
        headers = self.bearer(tier=self.word(), roles=[self.word()])
        assert await self.call("POST", MINT, headers=headers) == 200

    async def mint_again(self) -> None:
        """Repeat a request, then come too soon."""
        headers = self.bearer() | {"Idempotency-Key": self.word()}
        for _ in range(2):
            assert await self.call("POST", MINT, headers=headers) == 200
        headers["Idempotency-Key"] = self.word()
        assert await self.call("POST", MINT, headers=headers) == 429

    async def model(self) -> None:
        """Ask for a model that there is not."""
        body = {"model": self.word()}
        assert await self.call("POST", MINT, headers=self.bearer(), json=body) == 400

    async def body(self) -> None:
        """Send fields that there are not, or no JSON."""
        data = f'{{"{self.word()}": "{self.word()}"}}'
        headers = self.bearer() | {"Content-Type": "application/json"}
        assert await self.call("POST", MINT, headers=headers, data=data) == 400
        assert await self.call("POST", MINT, headers=headers, data=self.word()) == 400

    async def guess(self) -> None:
        """Show wrong credentials."""
        for name, value in (("Authorization", f"Bearer {self.word()}"), ("X-API-Key", self.word())):
            assert await self.call("POST", MINT, headers={name: value}) == 401

    async def anonymous(self) -> None:
        """Show none."""
        assert await self.call("POST", MINT) == 401

    async def path(self) -> None:
        """Ask for what is nowhere."""
        for path in (f"/{self.word()}", f"{MINT}/{self.word()}", f"/docs/{self.word()}"):
            assert await self.call("GET", path) == 404

    async def method(self) -> None:
        """Use a method that there is not, and all that there are."""
        status = await self.call(self.word().upper(), MINT)
        assert status in {400, 405}
        for method in _METHODS:
            await self.call(method, USAGE, headers=self.bearer())

    async def query(self) -> None:
        """Ask with parameters of one's own."""
        await self.call("GET", f"{USAGE}?{self.word()}={self.word()}", headers=self.bearer())

    async def other_routes(self) -> None:
        """Ask for all else."""
        headers = self.bearer()
        for path in (USAGE, CONFIG, HEALTH, STATS):
            await self.call("GET", path, headers=headers)

    async def rpc(self) -> None:
        """Call what there is not, and what there is with what is no message."""
        for socket in ("t", "p"):
            async with open_channel(f"unix:{self.directory}/{socket}") as channel:
                for method in (
                    f"/{self.word()}/{self.word()}",
                    f"/tokenservice.v1.TokenService/{self.word()}",
                    f"/policy.v1.PolicyService/{self.word()}",
                    "/tokenservice.v1.TokenService/CreateToken",
                    "/policy.v1.PolicyService/Reserve",
                ):
                    call: Any = channel.unary_unary(method)
                    with suppress(grpc.aio.AioRpcError):
                        await call(b"\xff" + self.word().encode(), timeout=30)

    async def bytes_that_are_no_http(self) -> None:
        """Speak something else."""
        port = int(self.chain.url.rpartition(":")[2])
        for raw in (
            f"{self.word()}\r\n\r\n",
            f"GET /{self.word()} HTTP/1.1\r\n\r\n",
            f"GET /{'x' * 9000}{self.word()} HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw.encode())
            with suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
