"""Proxies before a server: one that speaks TLS, and one that can hold or cut what passes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from servers_process import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


class Proxy:
    """Passes bytes between its callers and a target, until told otherwise."""

    def __init__(self, target: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self.connections = 0  # ever accepted; over TLS, those whose handshake succeeded
        self._target = target
        self._tls = tls
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where the proxy listens."""
        return HOST, self.port

    @property
    def url(self) -> str:
        """The URL of database 0, behind the proxy."""
        return f"redis{'s' if self._tls else ''}://{HOST}:{self.port}/0"

    def hold(self) -> None:
        """Keep every byte from now on, in both directions; connections are still accepted."""
        self._open.clear()

    def release(self) -> None:
        """Pass what was kept, and all that follows."""
        self._open.set()

    def cut(self) -> None:
        """End all connections at once, and with them what was kept; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self) -> asyncio.Server:
        """Begin to listen."""
        server = await asyncio.start_server(self._accept, HOST, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def close(self) -> None:
        """End all connections, and wait for it."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The stream's own task would log that it was cancelled, or what it failed of.
        await asyncio.wait([task])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        ends = [writer]
        try:
            with suppress(OSError):  # the target is down: the caller is hung up on
                back_reader, back_writer = await asyncio.open_connection(*self._target)
                ends.append(back_writer)
                self._writers.add(back_writer)
                ways = [self._pass(reader, back_writer), self._pass(back_reader, writer)]
                pumps = [asyncio.ensure_future(way) for way in ways]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            for end in ends:
                end.close()
            for end in ends:
                with suppress(OSError):
                    await end.wait_closed()  # over TLS, the other side has a say: cut() ends that
            self._writers.difference_update(ends)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            await self._open.wait()  # the end of a connection is kept as well


@asynccontextmanager
async def _serving(proxy: Proxy) -> AsyncIterator[Proxy]:
    server = await proxy.serve()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()


@asynccontextmanager
async def tls_proxy(
    target_host: str, target_port: int, server_ssl_context: ssl.SSLContext
) -> AsyncIterator[Proxy]:
    """Serve TLS before a target that has none."""
    async with _serving(Proxy((target_host, target_port), server_ssl_context)) as proxy:
        yield proxy


@asynccontextmanager
async def hole(target: tuple[str, int]) -> AsyncIterator[Proxy]:
    """Serve before a target, to hold or cut what passes."""
    async with _serving(Proxy(target, None)) as proxy:
        yield proxy
