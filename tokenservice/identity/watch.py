"""Looks at the store of identities again and again, and tells the health board."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import structlog

from serving.health import SERVING
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from serving.health import HealthBoard
    from tokenservice.identity.directory import Directory, NoDirectory

log = structlog.get_logger(__name__)

IDENTITY = "identity"
UNAVAILABLE = "IDENTITY_UNAVAILABLE"


async def watch_directory(
    directory: Directory | NoDirectory, board: HealthBoard, interval: float
) -> NoReturn:
    """Refresh the directory every `interval` seconds."""
    cause = None
    while True:
        cause = await report_directory(directory, board, cause)
        await asyncio.sleep(interval)


async def report_directory(
    directory: Directory | NoDirectory, board: HealthBoard, before: str | None = None
) -> str:
    """Refresh the directory once; return why it could not be, or nothing.

    That is logged when it is news. Not serving is only who may judge nobody.
    """
    cause = ""
    try:
        await directory.refresh()
    except StoreUnavailable as error:
        cause = str(error)
    state = SERVING if directory.is_fresh() else UNAVAILABLE
    if await board.report(IDENTITY, state) or before not in {None, cause}:
        tell = log.info if state == SERVING and not cause else log.warning
        tell("dependency", name=IDENTITY, state=state, **({"cause": cause} if cause else {}))
    return cause
