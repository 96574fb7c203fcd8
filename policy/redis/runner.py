"""Runs scripts at a time: the server's, which must agree with ours, or a test's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.clock import Clock
    from serving.redis.link import Link, Script

log = structlog.get_logger(__name__)

_CLOCK = 0


def wall_clock() -> int:
    """Return the time of this machine, as it is now."""
    return time.time_ns() // 1_000_000


class Runner:
    """Runs scripts, and refuses what they answer if it is not to be trusted."""

    def __init__(self, link: Link, *, clock: Clock | None, wall: Clock) -> None:
        """Take the time from `clock`; without one the server's counts, if `wall` agrees."""
        self.link = link
        self._told = clock or wall
        self._given = 0 if clock is None else 1

    async def run(self, script: Script, keys: Sequence[str], *args: Any) -> list[Any]:
        """Run a script."""
        told = self._told()
        return self._checked(
            script, told, await self.link.run(script, keys, (told, self._given, *args))
        )

    async def run_and_wait(
        self, script: Script, keys: Sequence[str], *args: Any, replicas: int, ms: int
    ) -> list[Any]:
        """Run a script that can be repeated; refuse if fewer than `replicas` have it after `ms`."""
        if not replicas:
            return await self.run(script, keys, *args)
        told = self._told()
        reply, acks = await self.link.run_and_wait(
            script, keys, (told, self._given, *args), replicas, ms
        )
        self._checked(script, told, reply)
        if acks < replicas:
            raise StoreUnavailable(f"{acks} of {replicas} replicas have it")
        return reply

    def _checked(self, script: Script, told: int, reply: list[Any]) -> list[Any]:
        if reply[0] == _CLOCK:
            log.error("clocks disagree", ours=told, the_stores=reply[1], script=script.name)
            raise StoreUnavailable("the store's clock and ours are more than a minute apart")
        return reply
