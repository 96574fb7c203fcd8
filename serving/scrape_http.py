"""HTTP for scrapes, and for nothing else: one path, in one thread of its own.

Not prometheus_client's server: it answers at every path, begins a thread for each
connection and waits in it without end, so that whoever reaches the port and sends
nothing fills the process. Here a connection has ten seconds for everything, there
are few of them, and if there are too many, the oldest goes: a scraper that is
stuck is in nobody's way.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    Exposition = Callable[[str], tuple[bytes, str]]
    """Returns the metrics in a form that the header `Accept` takes, and its media type."""

log = structlog.get_logger(__name__)

PATH = "/metrics"
MAX_CONNECTIONS = 16
_SECONDS = 10.0
_MAX_HEAD_BYTES = 16 * 1024
_METHODS = ("GET", "HEAD")


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that `host` is. Raises OSError: on none, or one is in use.

    `localhost` may be two, and a machine may know the name of one that it does not have.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((each[0], each[4][:2]) for each in found):
        try:
            listeners.append(socket.create_server((str(address[0]), port), family=family))
        except OSError as error:
            missing = error
            if error.errno == errno.EADDRINUSE:
                break
    if missing is not None and (not listeners or missing.errno == errno.EADDRINUSE):
        for each in listeners:
            each.close()
        raise missing
    return listeners


class ScrapeServer:
    """Answers scrapes until it is closed."""

    def __init__(
        self, listeners: list[socket.socket], expose: Exposition, *, seconds: float = _SECONDS
    ) -> None:
        """Begin to answer with what `expose` returns; a connection may last `seconds`."""
        self._listeners = listeners
        self._expose = expose
        self._seconds = seconds
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="scrapes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, whoever is still connected."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stop())

    async def _until_stop(self) -> None:
        servers = [
            await asyncio.start_server(self._serve, sock=each, limit=_MAX_HEAD_BYTES)
            for each in self._listeners
        ]
        await self._stop.wait()
        for server in servers:
            server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            next(iter(self._open)).transport.abort()
        self._open[writer] = None
        writer.transport.set_write_buffer_limits(high=0)  # so that to drain is to be done
        try:
            async with asyncio.timeout(self._seconds):
                writer.write(self._answer(await _head(reader)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # it is slow, or has gone
        finally:
            writer.transport.abort()
            self._open.pop(writer, None)

    def _answer(self, head: bytes) -> bytes:
        line, _, rest = head.decode("latin-1").partition("\r\n")
        parts = line.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):  # noqa: PLR2004 - as RFC 9112 has it
            return _response(HTTPStatus.BAD_REQUEST)
        method, target, _ = parts
        if target.partition("?")[0] != PATH:
            return _response(HTTPStatus.NOT_FOUND)
        if method not in _METHODS:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, allow=", ".join(_METHODS))
        try:
            body, media_type = self._expose(_accepted(rest))
        except Exception:  # a metric that cannot be shown must not end the thread
            log.exception("metrics cannot be shown")
            return _response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _response(HTTPStatus.OK, body, bodiless=method == "HEAD", content_type=media_type)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return a request's head; of one that is too long, what is no request."""
    with suppress(asyncio.LimitOverrunError):
        return await reader.readuntil(b"\r\n\r\n")
    return b""


def _accepted(fields: str) -> str:
    named = (line.partition(":") for line in fields.split("\r\n"))
    return ",".join(value.strip() for name, _, value in named if name.lower() == "accept")


def _response(
    status: HTTPStatus, body: bytes = b"", *, bodiless: bool = False, **fields: str
) -> bytes:
    fields = {
        "content_type": "text/plain; charset=utf-8",
        **fields,
        "content_length": str(len(body)),
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if bodiless else body)
