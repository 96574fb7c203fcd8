"""What happened: kept for whoever asks the control API, never logged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_SECRET_HEADERS = {"x-goog-api-key", "authorization", "cookie", "proxy-authorization"}
_KEPT = 1000
REDACTED = "[redacted]"


@dataclass(kw_only=True)
class Counters:
    """How often what happened."""

    mint_requests: int = 0
    tokens_minted: int = 0
    models_requests: int = 0
    sessions_opened: int = 0
    sessions_resumed: int = 0
    sessions_refused: int = 0
    faults_met: int = 0


@dataclass(frozen=True, kw_only=True)
class MintRecord:
    """One mint request."""

    received_at: datetime
    version: str
    headers: dict[str, str]


@dataclass(kw_only=True)
class SessionRecord:
    """One live connection."""

    connected_at: datetime
    state: Literal["connecting", "open", "closed", "refused"] = "connecting"
    session: str | None = None
    token: str | None = None
    resumed: bool = False
    setup: dict[str, Any] | None = None
    messages: int = 0
    turns: int = 0
    close_code: int | None = None
    close_reason: str = ""


@dataclass(kw_only=True)
class Journal:
    """The counters and the last requests and connections."""

    counters: Counters = field(default_factory=Counters)
    mints: deque[MintRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    sessions: deque[SessionRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def clear(self) -> None:
        """Start afresh."""
        self.counters = Counters()
        self.mints.clear()
        self.sessions.clear()


def redacted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers, in lower case, without the values that are secret."""
    return {
        name.lower(): REDACTED if name.lower() in _SECRET_HEADERS else value
        for name, value in headers
    }
