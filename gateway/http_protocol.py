"""HTTP/1.1 as uvicorn speaks it, with an end to all that a peer can make it hold.

uvicorn waits for ever for the rest of a head, takes any number of headers, reads
on behind an answer for as long as somebody sends, and takes trailers for headers.
What is refused here is refused in JSON, like everything else.
"""

import re
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import structlog
from starlette.datastructures import Headers
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway import forwarding, refusal, shedding
from gateway.connections import Connections
from gateway.cors import Cors
from gateway.last_answer import last_answer, take_over
from gateway.refusal import Refusal
from gateway.transcoding.errors import (
    InvalidRequestError,
    LargeHeadError,
    LongUrlError,
    RequestError,
    SlowHeadError,
)
from serving import addresses, metrics

log = structlog.get_logger(__name__)

MAX_URL_BYTES = 8_192
"""How long a URL may be: RFC 9110, 4.1, asks for 8000 at least."""

MAX_PIPELINED = 8
"""How many requests may wait on one connection for the answer to an earlier one."""

MAX_UNREAD_BYTES = 65_536
"""How much is read on of a body that nobody wants, so that its sender sees the answer."""

_HEADER_OVERHEAD = 4  # the colon, the space and the line's end
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")  # RFC 3986, 3.2: host and port


@dataclass(frozen=True)
class HttpLimits:
    """What one connection may make us hold, and for how many seconds."""

    head_timeout: float
    write_timeout: float
    max_head_bytes: int
    max_headers: int


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    It is in a head or in a body, and if it is in neither, idle. A timer runs in
    a head, and in a body whose request has been answered: in between the
    application has one for the body, and uvicorn has one while idle.
    """

    def __init__(
        self, *args: Any, limits: HttpLimits, connections: Connections, cors: Cors, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._cors = cors
        self.url = b""  # uvicorn has none before the first request
        self._limits = limits
        self._admitting = connections
        self._admitted = False
        self._peer: addresses.Address | None = None
        self._reading: TimerHandle | None = None
        self._writing: TimerHandle | None = None
        self._in_body = False
        self._unfinished = 0  # bytes of a head that is not complete
        self._head_bytes = 0  # what of them has been parsed
        self._unread = 0  # bytes of a body since something was made of it
        self._refused: Refusal | None = None  # why the parser was stopped
        self._farewell: bytes | None = None  # what is still to be said, after earlier answers
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Admit a connection, or refuse it and forget it."""
        super().connection_made(transport)
        self._peer = addresses.of_peer(self.client[0]) if self.client else None
        self._admitted = self._admitting.enter(self._peer)
        if self._admitted:
            self._read_within(self._limits.head_timeout, self._on_slow_head)
        else:
            self._refuse(refusal.of_call(shedding.overloaded()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everything of the connection go: its place, its timers, its requests."""
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()
        if self._admitted:
            self._admitting.leave(self._peer)
        # uvicorn tells only the latest request that its client has left.
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                _disconnect(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits."""
        if self._farewell is not None or self.transport.is_closing():
            return
        if self._in_body:
            self._unread += len(data)
        else:
            if not self._unfinished:
                self._read_within(self._limits.head_timeout, self._on_slow_head)
            self._unfinished += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._refused is not None:
            return
        if self._in_body:
            self._check_unread()
        elif self._unfinished > self._limits.max_head_bytes or self._has_long_url:
            self._refuse(refusal.of_request(self._large_head()))
        elif not self._unfinished and self._answered and self.timeout_keep_alive_task is None:
            # uvicorn stops its timer for whatever comes, such as the end of an unread body.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for ever."""
        super().pause_writing()
        self._watch_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._head_bytes = 0
        self._unfinished = self._unfinished or 1  # it may come behind a body, in one piece
        if self._reading is None:
            self._read_within(self._limits.head_timeout, self._on_slow_head)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is read and dropped (RFC 9110, 6.5.1)."""
        self._head_bytes += len(name) + len(value) + _HEADER_OVERHEAD
        if not self._in_body:
            super().on_header(name, value)
        if (
            len(self.headers) > self._limits.max_headers
            or self._head_bytes + len(self.url) > self._limits.max_head_bytes
        ):
            self._stop(self._large_head())

    def on_headers_complete(self) -> None:
        """Begin a request, if what was read is the head of one."""
        if self._has_long_url:  # not sooner: the headers say who may read the answer
            self._stop(self._large_head())
        if wrong := self._wrong_with_head():
            self._stop(InvalidRequestError(wrong))
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop_for(refusal.of_call(shedding.overloaded()))
        super().on_headers_complete()
        self._stop_reading_timer()
        self._in_body = True
        self._unfinished = self._unread = self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body over, if anybody still wants it."""
        super().on_body(body)
        if not self.cycle.response_complete:
            self._unread = 0

    def on_message_complete(self) -> None:
        """End a request's body."""
        super().on_message_complete()
        self.headers = []  # what comes next is not asked by these
        self._in_body = False
        self._stop_reading_timer()

    # What uvicorn calls.

    def on_response_complete(self) -> None:
        """Go on to the next request, or say goodbye."""
        super().on_response_complete()
        self._watch_writing()
        if self.transport.is_closing() or not self._answered:
            return
        if self._farewell is not None:
            self._leave(self._farewell)
        elif self._in_body:
            self._unset_keepalive_if_required()
            self._read_within(self._limits.head_timeout, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not take; `msg` is uvicorn's sentence."""
        self._refuse(self._refused or refusal.of_request(InvalidRequestError(msg)))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # The rest is ours.

    @property
    def _answered(self) -> bool:
        """Whether every request that was read has its answer."""
        latest = cast("RequestResponseCycle | None", self.cycle)
        return not self.pipeline and (latest is None or latest.response_complete)

    @property
    def _runs_latest(self) -> bool:
        """Whether the latest request is at work, and does not wait for an earlier one."""
        return self._running is None or self.cycle is self._running

    @property
    def _has_long_url(self) -> bool:
        return len(self.url) > MAX_URL_BYTES

    def _wrong_with_head(self) -> str | None:
        """Return what RFC 9112 says is wrong with a head, and the parser lets pass."""
        version = self.parser.get_http_version()
        fields: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            fields.setdefault(name, []).append(value)
        hosts, codings = fields.get(b"host", []), fields.get(b"transfer-encoding", [])
        if version not in {"1.0", "1.1"}:
            return "The request is not HTTP/1.1."
        if len(hosts) > 1 or (version == "1.1" and not hosts):  # section 3.2
            return "The request must have one Host header."
        if not all(_HOST.fullmatch(host) for host in hosts):
            return "The Host header names no host."
        if codings and (version == "1.0" or b"content-length" in fields):  # section 6.1
            return "The request must have one of Content-Length and Transfer-Encoding."
        if codings and [coding.lower() for coding in codings] != [b"chunked"]:
            return "The Transfer-Encoding must be chunked."
        return None

    def _large_head(self) -> RequestError:
        if self._has_long_url:
            return LongUrlError(MAX_URL_BYTES)
        return LargeHeadError(self._limits.max_headers, self._limits.max_head_bytes)

    def _check_unread(self) -> None:
        """End a body that nobody wants, or one that is all framing: extensions, trailers."""
        if self.cycle.response_complete:
            if self._unread > MAX_UNREAD_BYTES:
                self.transport.close()
        elif self._unread > self._limits.max_head_bytes + MAX_UNREAD_BYTES:
            self._refuse(refusal.of_request(self._large_head()))

    def _on_slow_head(self) -> None:
        if self._unfinished:
            self._refuse(refusal.of_request(SlowHeadError()))
        else:
            self.transport.close()

    def _read_within(self, seconds: float, give_up: Callable[[], None]) -> None:
        self._stop_reading_timer()
        self._reading = self.loop.call_later(seconds, give_up)

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch_writing(self) -> None:
        """Abort the connection if what is still unsent now, or some of it, is so for too long."""
        if self._writing is None and self.transport.get_write_buffer_size():
            self._writing = self.loop.call_later(self._limits.write_timeout, self._on_slow_reader)

    def _on_slow_reader(self) -> None:
        self._writing = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _stop(self, error: RequestError) -> None:
        self._stop_for(refusal.of_request(error))

    def _stop_for(self, refused: Refusal) -> None:
        """Stop the parser from inside of one of its calls; send_400_response goes on."""
        self._refused = refused
        raise _ParsingStopped

    def _refuse(self, refused: Refusal) -> None:
        """Refuse the request that is being read; it is the last on this connection."""
        self._stop_reading_timer()
        self._unset_keepalive_if_required()
        self._refused = refused
        asked = Headers(raw=self.headers or [])  # None before the first head
        if self._in_body and self._runs_latest:  # its application tells of it
            request_id = take_over(self.cycle.scope["state"], refused, asked)
        else:
            request_id = forwarding.request_id(asked)
            if self._admitted:  # of the others Connections tells once, not for each
                metrics.HTTP_UNREAD.add(status=str(refused.status))
                log.info(
                    "not a request", status=refused.status, code=refused.code, request_id=request_id
                )
        self._farewell = last_answer(
            refused, asked, self._cors, self.server_state.default_headers, request_id
        )
        if self._in_body:  # it has begun
            own, running = self.cycle, self._running
            _disconnect(own)
            if running is None or own is running:
                if own.response_started:
                    self.transport.close()
                else:
                    self._leave(self._farewell)
                return
            self.pipeline.popleft()  # where uvicorn puts the latest
            self.cycle = self.pipeline[0][0] if self.pipeline else running
        if self._answered:
            self._leave(self._farewell)

    def _leave(self, last_words: bytes) -> None:
        self.transport.write(last_words)
        self._watch_writing()
        self.transport.close()


class _ParsingStopped(Exception):
    """Carries nothing: httptools makes an error of its own of it."""


def _disconnect(cycle: RequestResponseCycle) -> None:
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
