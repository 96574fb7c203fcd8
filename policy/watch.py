"""Watches the store that nothing can be decided without, and reports it to the health board."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import structlog

from serving.health import SERVING
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from policy.store import Store
    from serving.health import HealthBoard

log = structlog.get_logger(__name__)

STORE = "store"
UNAVAILABLE = "STORE_UNAVAILABLE"
_INTERVAL_SECONDS = 0.5


async def watch_store(store: Store, board: HealthBoard) -> NoReturn:
    """Ask the store again and again whether it can decide."""
    cause = None
    while True:
        cause = await report_store(store, board, cause)
        await asyncio.sleep(_INTERVAL_SECONDS)


async def report_store(store: Store, board: HealthBoard, before: str | None = None) -> str:
    """Ask the store once; return why it cannot decide, or nothing.

    That is logged when it is news: it may be down first, then loading, then full.
    """
    state, cause = SERVING, ""
    try:
        await store.check()
    except StoreUnavailable as error:
        state, cause = UNAVAILABLE, str(error)
    if await board.report(STORE, state) or before not in (None, cause):
        tell = log.info if state == SERVING else log.warning
        tell("dependency", name=STORE, state=state, **({"cause": cause} if cause else {}))
    return cause
