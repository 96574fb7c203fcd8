"""The WebSocket half of the Gemini API: live sessions."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import WSMsgType, web

from emulator.admission import Admission, Credentials
from emulator.conversation import Conversation, kind_of
from emulator.core import EMULATOR
from emulator.errors import (
    GOING_AWAY,
    INTERNAL_ERROR,
    INVALID_FRAME,
    POLICY_VIOLATION,
    GoogleError,
    InvalidPayload,
    Refusal,
)
from emulator.faults import LiveFault
from emulator.http_api import VERSIONS
from emulator.journal import SessionRecord
from emulator.messages import CLIENT_MESSAGE
from emulator.schema import load
from emulator.tokens import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime

    from emulator.core import Emulator
    from emulator.tokens import Token

_MAX_MESSAGE = 32 * 1024 * 1024
_MAX_REASON = 123  # bytes: what a WebSocket close frame can carry
_CLOSE_SECONDS = 1.0
_SETUP_SECONDS = 30.0
_OUTLIVED = (
    "Connection aborted because the client failed to close the connection after a GoAway signal"
)

_Ending = TypeVar("_Ending", bound=Exception)

_log = logging.getLogger(__name__)


def routes() -> list[web.AbstractRouteDef]:
    """Return the two live methods; the JavaScript SDK asks for them with two leading slashes."""
    service = f"google.ai.generativelanguage.{{version:{VERSIONS}}}.GenerativeService"
    method = "{method:BidiGenerateContent(?:Constrained)?}"
    return [web.get(f"/{{slashes:/*}}ws/{service}.{method}", live)]


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one live connection."""
    emulator = request.app[EMULATOR]
    fault = emulator.faults.take_live()
    if fault is None:
        fault = LiveFault()
    else:
        emulator.journal.counters.faults_met += 1
    if fault.handshake_status is not None:
        raise GoogleError(fault.handshake_status, "This fault was ordered from the emulator.")
    socket = web.WebSocketResponse(max_msg_size=_MAX_MESSAGE, timeout=_CLOSE_SECONDS)
    await socket.prepare(request)
    await _Connection(emulator, request, socket, fault).run()
    return socket


class _Left(Exception):
    """The client has closed the connection."""


class _Dropped(Exception):
    """The connection is to be cut without a word."""


class _Connection:
    """One WebSocket, from the handshake to the close."""

    def __init__(
        self,
        emulator: Emulator,
        request: web.Request,
        socket: web.WebSocketResponse,
        fault: LiveFault,
    ) -> None:
        self._emulator = emulator
        self._request = request
        self._socket = socket
        self._fault = fault
        self._record = SessionRecord(connected_at=emulator.clock.now())
        emulator.journal.sessions.append(self._record)

    async def run(self) -> None:
        """Serve until either side ends it; however it ends, it ends here."""
        try:
            await self._serve(await self._enter())
        except* Refusal as group:
            await self._close(_only(group))
        except* InvalidPayload as group:
            await self._close(Refusal(INVALID_FRAME, _only(group).description))
        except* _Dropped:
            if self._request.transport is not None:
                self._request.transport.abort()
        except* (_Left, ConnectionError):
            self._record.close_code = self._socket.close_code
        finally:
            self._leave()

    async def _enter(self) -> Admission:
        """Read the setup and admit the client, or refuse it.

        Even a client without credentials is refused only now: one that is still
        sending its setup would see a broken connection instead of the reason.
        """
        self._drop_if_due()
        try:
            async with asyncio.timeout(_SETUP_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(POLICY_VIOLATION, "No setup was received in time.") from None
        if kind_of(message) != "setup":
            raise Refusal(INVALID_FRAME, "setup must be the first message and only the first.")
        if self._fault.close_code is not None:
            raise Refusal(self._fault.close_code, self._fault.close_reason)
        admission = self._admit(message["setup"])
        await self._send([{"setupComplete": {}}, *self._resumption_update(admission)])
        return admission

    def _admit(self, setup: dict[str, Any]) -> Admission:
        credentials = Credentials.read(self._request.headers, self._request.query)
        constrained = self._request.match_info["method"].endswith("Constrained")
        door = self._emulator.door
        admit = door.admit_with_token if constrained else door.admit_with_key
        admission = admit(credentials, setup, self._request.match_info["version"])
        self._emulator.journal.counters.sessions_opened += 1
        self._emulator.journal.counters.sessions_resumed += admission.resumed
        self._record.state = "open"
        self._record.session = admission.session
        self._record.resumed = admission.resumed
        self._record.setup = admission.setup
        self._record.token = admission.token.name if admission.token else None
        return admission

    async def _serve(self, admission: Admission) -> None:
        """Hold the conversation, while watching the clock."""
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(watch) for watch in self._watches(admission.token)]
            try:
                await self._converse(admission)
            finally:
                for watch in watches:
                    watch.cancel()

    async def _converse(self, admission: Admission) -> None:
        after = self._emulator.options.answer_after_audio_bytes
        conversation = Conversation(admission.setup, answer_after_audio_bytes=after)
        while True:
            self._drop_if_due()
            answer = conversation.receive(await self._receive())
            if conversation.turns > self._record.turns:
                self._record.turns = conversation.turns
                answer += self._resumption_update(admission)
            await self._send(answer)

    def _watches(self, token: Token | None) -> list[Coroutine[Any, Any, None]]:
        watches = [self._end_at_stop(), self._end_at_age()]
        return [*watches, self._end_at_expiry(token.expire_time)] if token else watches

    async def _end_at_stop(self) -> None:
        await self._emulator.stopping.wait()
        raise Refusal(GOING_AWAY, "The emulator is stopping.")

    async def _end_at_expiry(self, moment: datetime) -> None:
        await self._emulator.clock.wait_until(moment)
        raise Refusal(INTERNAL_ERROR, EXPIRED)

    async def _end_at_age(self) -> None:
        options, clock = self._emulator.options, self._emulator.clock
        end = clock.now() + timedelta(seconds=options.connection_seconds)
        notice = min(options.go_away_seconds, options.connection_seconds)
        await clock.wait_until(end - timedelta(seconds=notice))
        await self._send([{"goAway": {"timeLeft": f"{notice:g}s"}}])
        await clock.wait_until(end)
        raise Refusal(POLICY_VIOLATION, _OUTLIVED)

    def _resumption_update(self, admission: Admission) -> list[dict[str, Any]]:
        if "sessionResumption" not in admission.setup:
            return []
        handle = self._emulator.handles.issue(admission.session)
        return [{"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}}]

    async def _receive(self) -> dict[str, Any]:
        frame = await self._socket.receive()
        if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise _Left
        self._record.messages += 1
        message: dict[str, Any] = CLIENT_MESSAGE(load(frame.data), "")
        await self._emulator.delay(self._fault.latency_ms)
        return message

    async def _send(self, messages: list[dict[str, Any]]) -> None:
        silent_after = self._fault.silent_after_messages
        if silent_after is not None and self._record.messages > silent_after:
            return
        for message in messages:
            await self._socket.send_bytes(json.dumps(message).encode())

    def _drop_if_due(self) -> None:
        drop_after = self._fault.drop_after_messages
        if drop_after is not None and self._record.messages >= drop_after:
            raise _Dropped

    async def _close(self, ending: Refusal) -> None:
        self._record.close_code = ending.code
        self._record.close_reason = ending.reason
        _log.debug("closed a live connection: %d %s", ending.code, ending.reason)
        reason = ending.reason.encode()[:_MAX_REASON].decode(errors="ignore").encode()
        await self._socket.close(code=ending.code, message=reason)

    def _leave(self) -> None:
        if self._record.session is None:
            self._record.state = "refused"
            self._emulator.journal.counters.sessions_refused += 1
        else:
            self._record.state = "closed"
            self._emulator.handles.end(self._record.session)


def _only(group: BaseExceptionGroup[_Ending]) -> _Ending:
    """Return what ended the connection; where several things did, the first."""
    first = group.exceptions[0]
    return _only(first) if isinstance(first, BaseExceptionGroup) else first
