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
_PAUSE_SECONDS = 0.1
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
        self._open: dict[asyncio.Task[None], None] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="scrapes", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def close(self) -> None:
        """Stop, whoever is still connected."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stop())

    async def _until_stop(self) -> None:
        for listener in self._listeners:
            listener.setblocking(False)  # noqa: FBT003 - the library's
            self._listen(listener)
        await self._stop.wait()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    # Not sock_accept: of one that is cancelled as somebody connects, nobody has the connection.
    def _listen(self, listener: socket.socket) -> None:
        if not self._stop.is_set():
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # it has gone again, or there are too many files
            self._loop.remove_reader(listener)
            self._loop.call_later(_PAUSE_SECONDS, self._listen, listener)
            return
        connection.setblocking(False)  # noqa: FBT003 - the library's
        if len(self._open) >= MAX_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()
        self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._serve(connection))
        self._open[task] = None

        def end(_: asyncio.Task[None]) -> None:  # also of one that was cancelled before it began
            connection.close()
            self._open.pop(task, None)

        task.add_done_callback(end)

    async def _serve(self, connection: socket.socket) -> None:
        with suppress(TimeoutError, OSError):  # it is slow, or has gone
            async with asyncio.timeout(self._seconds):
                if head := await self._head(connection):
                    await self._loop.sock_sendall(connection, self._answer(head))

    async def _head(self, connection: socket.socket) -> bytes:
        """Return a request's head; nothing, if it is too long or does not come to its end."""
        head = b""
        while len(head) < _MAX_HEAD_BYTES and (
            part := await self._loop.sock_recv(connection, _MAX_HEAD_BYTES)
        ):
            head += part
            if b"\r\n\r\n" in head:
                return head
        return b""

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
