"""Failures to order: what the next requests and connections meet instead of service."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from emulator.errors import InvalidPayload
from emulator.schema import Message, Parser, between, boolean, camel, int32, snake, string

Target = Literal["mint", "models", "live"]
TARGETS: tuple[Target, ...] = ("mint", "models", "live")

_MANY = 2**31 - 1
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def close_code(value: Any, path: str) -> int:
    """Accept a code that a close frame may carry."""
    code = int32(value, path)
    if code not in _CLOSE_CODES:
        raise InvalidPayload(f"{path} must be a WebSocket close code.", path)
    return code


_ERROR_STATUS = between(400, 599)
_COMMON: dict[str, Parser] = {"count": between(1, _MANY), "latencyMs": between(0, _MANY)}
_HTTP = Message(
    {
        **_COMMON,
        "status": _ERROR_STATUS,
        "message": string,
        "googleStatus": string,
        "retryAfter": string,
        "hang": boolean,
        "garbage": boolean,
        "emptyName": boolean,
        "disconnect": boolean,
    }
)
_LIVE = Message(
    {
        **_COMMON,
        "handshakeStatus": _ERROR_STATUS,
        "closeCode": close_code,
        "closeReason": string,
        "silentAfterMessages": between(0, _MANY),
        "dropAfterMessages": between(0, _MANY),
    }
)


@dataclass(kw_only=True)
class HttpFault:
    """How one request fails. With nothing but a latency it is slow and then succeeds."""

    count: int | None = None
    latency_ms: int = 0
    status: int | None = None
    message: str | None = None
    google_status: str | None = None
    retry_after: str | None = None
    hang: bool = False
    garbage: bool = False
    empty_name: bool = False
    disconnect: bool = False


@dataclass(kw_only=True)
class LiveFault:
    """How one connection fails. Messages are the client's; the setup is the first of them."""

    count: int | None = None
    latency_ms: int = 0
    handshake_status: int | None = None
    close_code: int | None = None
    close_reason: str = ""
    silent_after_messages: int | None = None
    drop_after_messages: int | None = None


_Fault = TypeVar("_Fault", HttpFault, LiveFault)


class FaultBoard:
    """The faults ordered for each target, in their order; each applies `count` times."""

    def __init__(self) -> None:
        self._http: dict[str, deque[HttpFault]] = {"mint": deque(), "models": deque()}
        self._live: deque[LiveFault] = deque()

    def order(self, target: Target, body: Any) -> None:
        """Replace a target's faults by those that a control request describes."""
        entries = body if isinstance(body, list) else [body]
        if target == "live":
            self._live = deque(LiveFault(**_arguments(_LIVE, entry)) for entry in entries)
        else:
            self._http[target] = deque(HttpFault(**_arguments(_HTTP, entry)) for entry in entries)

    def clear(self, target: Target | None = None) -> None:
        """Drop the faults of one target, or all."""
        for name in (target,) if target else TARGETS:
            self.order(name, [])

    def take_http(self, target: Literal["mint", "models"]) -> HttpFault | None:
        """Return the fault that this request meets."""
        return _take(self._http[target])

    def take_live(self) -> LiveFault | None:
        """Return the fault that this connection meets."""
        return _take(self._live)

    def pending(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is still ordered."""
        http = {target: [_shown(f) for f in faults] for target, faults in self._http.items()}
        return {**http, "live": [_shown(fault) for fault in self._live]}


def _take(faults: deque[_Fault]) -> _Fault | None:
    if not faults:
        return None
    fault = faults[0]
    if fault.count is not None:
        fault.count -= 1
        if fault.count == 0:
            faults.popleft()
    return fault


def _arguments(schema: Message, entry: Any) -> dict[str, Any]:
    return {snake(name): value for name, value in schema(entry, "").items()}


def _shown(fault: HttpFault | LiveFault) -> dict[str, Any]:
    ordered = {name: value for name, value in asdict(fault).items() if value not in (None, "")}
    return {camel(name): value for name, value in ordered.items() if value is not False}
