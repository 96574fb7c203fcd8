"""Waiting for servers to come to a state."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], Awaitable[bool]], within: float, what: str, *, every: float = 0.01
) -> None:
    """Wait until `condition` holds; an answer that fails, or comes late, is a no."""
    deadline = time.monotonic() + within
    last: Exception | None = None
    while (remaining := deadline - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(remaining):
                if await condition():
                    return
        except (OSError, RedisError) as error:  # TimeoutError is an OSError
            last = error
        await asyncio.sleep(every)
    raise TimeoutError(f"in {within:g} s it was not so that {what}") from last
