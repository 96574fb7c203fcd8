"""HTTP/1.1 by hand, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MINT = "/api/v1/live-token"


@dataclass(frozen=True)
class RawAnswer:
    """An answer: its headers by lower-case name, its JSON, None where there is no body."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class RawConnection:
    """A connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def answer(self) -> RawAnswer | None:
        """Return the next answer, None if the server hung up instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        line, *lines = head.decode().strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (each.partition(":") for each in lines)
        }
        status = int(line.split()[1])
        if status == 100:
            return await self.answer()
        data = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(status, headers, json.loads(data) if data else None)

    async def closed(self) -> bool:
        """Wait until the server hangs up; return whether it said nothing more before."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def connect(port: int, **options: Any) -> AsyncIterator[RawConnection]:
    """Open a connection to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(port: int, data: bytes) -> RawAnswer | None:
    """Send bytes on a connection of their own; return the first answer."""
    async with connect(port) as connection:
        connection.send(data)
        return await connection.answer()


def request(
    *lines: str | bytes, method: str = "POST", path: str = MINT, body: bytes = b"", host: str = "x"
) -> bytes:
    """Return a request with these header lines, and `Host` before them."""
    head = [f"{method} {path} HTTP/1.1".encode(), f"Host: {host}".encode()]
    head += [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    return b"\r\n".join([*head, b"", body])
