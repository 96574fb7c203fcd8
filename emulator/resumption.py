"""Session resumption: handles, and the sessions that they lead back to."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from emulator.errors import POLICY_VIOLATION, Refusal

if TYPE_CHECKING:
    from emulator.clock import Clock

RESUMABLE_FOR = timedelta(hours=2)
NOT_FOUND = "BidiGenerateContent session not found"


class Handles:
    """The handles given out; each leads to a session until two hours after that ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session_of: dict[str, str] = {}
        self._ended: dict[str, datetime] = {}

    def issue(self, session: str) -> str:
        """Return a new handle for a session."""
        handle = secrets.token_urlsafe(24)
        self._session_of[handle] = session
        return handle

    def end(self, session: str) -> None:
        """Note that a session's connection has ended."""
        self._ended[session] = self._clock.now()

    def resume(self, handle: str) -> str:
        """Return the session that a handle leads to."""
        session = self._session_of.get(handle)
        if session is None:
            raise Refusal(POLICY_VIOLATION, NOT_FOUND)
        ended = self._ended.get(session)
        if ended is not None and self._clock.now() > ended + RESUMABLE_FOR:
            raise Refusal(POLICY_VIOLATION, NOT_FOUND)
        self._ended.pop(session, None)
        return session

    def clear(self) -> None:
        """Forget all handles."""
        self._session_of.clear()
        self._ended.clear()
