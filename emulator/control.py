"""The control API: what only an emulator offers, under `/emulator/v1/`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from emulator.core import EMULATOR
from emulator.errors import InvalidPayload
from emulator.faults import TARGETS
from emulator.schema import Message, boolean, camel, load, number

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.faults import Target
    from emulator.tokens import Token

_PREFIX = "/emulator/v1"
_CLOCK = Message({"advanceSeconds": number, "reset": boolean})
_MAX_ADVANCE = timedelta(days=3650).total_seconds()


def routes() -> list[web.AbstractRouteDef]:
    """Return the control routes and the health check."""
    target = f"{_PREFIX}/faults/{{target:{'|'.join(TARGETS)}}}"
    return [
        web.get("/healthz", health),
        web.get(f"{_PREFIX}/faults", pending_faults),
        web.delete(f"{_PREFIX}/faults", clear_faults),
        web.post(target, order_faults),
        web.delete(target, clear_faults),
        web.get(f"{_PREFIX}/counters", counters),
        web.get(f"{_PREFIX}/tokens", tokens),
        web.get(f"{_PREFIX}/sessions", sessions),
        web.get(f"{_PREFIX}/mints", mints),
        web.get(f"{_PREFIX}/clock", clock),
        web.post(f"{_PREFIX}/clock", move_clock),
        web.post(f"{_PREFIX}/reset", reset),
    ]


async def health(request: web.Request) -> web.Response:
    """Answer 200: whoever can be asked is ready."""
    del request
    return web.json_response({"status": "ok"})


async def pending_faults(request: web.Request) -> web.Response:
    """Show which faults are still to come."""
    return web.json_response(request.app[EMULATOR].faults.pending())


async def order_faults(request: web.Request) -> web.Response:
    """Replace the faults of one target by those in the body: one object, or a list of them."""
    faults = request.app[EMULATOR].faults
    faults.order(_target(request), load(await request.read()))
    return web.json_response(faults.pending())


async def clear_faults(request: web.Request) -> web.Response:
    """Drop the faults of one target, or all."""
    faults = request.app[EMULATOR].faults
    faults.clear(_target(request) if "target" in request.match_info else None)
    return web.json_response(faults.pending())


async def counters(request: web.Request) -> web.Response:
    """Show how often what happened."""
    return web.json_response(_json(asdict(request.app[EMULATOR].journal.counters)))


async def tokens(request: web.Request) -> web.Response:
    """Show the issued tokens, the newest first."""
    newest = reversed(list(request.app[EMULATOR].tokens))
    return web.json_response({"tokens": [_token(token) for token in newest]})


async def sessions(request: web.Request) -> web.Response:
    """Show the last connections and the setup that was in force, the newest first."""
    records = reversed(request.app[EMULATOR].journal.sessions)
    return web.json_response({"sessions": [_json(vars(record)) for record in records]})


async def mints(request: web.Request) -> web.Response:
    """Show the headers of the last mint requests, the newest first."""
    records = reversed(request.app[EMULATOR].journal.mints)
    return web.json_response({"mints": [_json(asdict(record)) for record in records]})


async def clock(request: web.Request) -> web.Response:
    """Show the emulated time."""
    return _time(request.app[EMULATOR].clock)


async def move_clock(request: web.Request) -> web.Response:
    """Advance the clock, or set it right again."""
    moved = request.app[EMULATOR].clock
    wish = _CLOCK(load(await request.read()), "")
    if wish.get("reset"):
        moved.reset()
    seconds = wish.get("advanceSeconds", 0)
    if not abs(seconds) <= _MAX_ADVANCE:
        raise InvalidPayload("advanceSeconds is out of range.", "advance_seconds")
    moved.advance(timedelta(seconds=seconds))
    return _time(moved)


async def reset(request: web.Request) -> web.Response:
    """Return to the state after the start."""
    request.app[EMULATOR].reset()
    return web.json_response({})


def _target(request: web.Request) -> Target:
    return cast("Target", request.match_info["target"])


def _time(shown: Clock) -> web.Response:
    return web.json_response(
        {"now": _text(shown.now()), "offsetSeconds": shown.offset.total_seconds()}
    )


def _token(token: Token) -> dict[str, Any]:
    mask = None if token.mask is None else [".".join(path) for path in token.mask]
    return _json(
        {
            "name": token.name,
            "created": token.created,
            "expire_time": token.expire_time,
            "new_session_expire_time": token.new_session_expire_time,
            "uses": token.uses,
            "used": token.used,
            "uses_left": token.uses_left,
            "field_mask": mask,
            "setup": token.setup,
        }
    )


def _json(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        camel(name): _text(value) if isinstance(value, datetime) else value
        for name, value in fields.items()
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
