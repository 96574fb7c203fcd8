"""Drives a shared store side by side with the one in memory."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import TYPE_CHECKING

from hypothesis.stateful import run_state_machine_as_test
from store_machine import Pair
from store_sides import StoreSide

from policy.memory import MemoryStore
from policy.redis.store import RedisStore
from serving.redis.connect import RedisOptions, open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis import settings
    from store_plain_model import Rules

    from policy.redis.scripts import Scripts


def drive(
    url: str, how: settings, scripts: Scripts | None = None, machine: type[Pair] = Pair
) -> None:
    """Hold a shared store to the one in memory."""
    numbers = itertools.count()
    run = secrets.token_hex(6)  # what an earlier run left would not be what the model has
    with asyncio.Runner() as runner:
        opened = open_redis(url, RedisOptions(socket_timeout_ms=5_000, connect_timeout_ms=5_000))
        client = runner.run(opened.__aenter__())

        def make(rules: Rules, clock: Callable[[], int]) -> tuple[StoreSide, StoreSide]:
            shared = RedisStore(
                client,
                lease_ms=rules.lease,
                clock=clock,
                prefix=f"{run}-{next(numbers)}",
                timeout_ms=10_000,
                scripts=scripts,
            )
            plain = MemoryStore(clock, lease_ms=rules.lease)
            return (
                StoreSide(shared, "0123456789abcdef", rules, clock),
                StoreSide(plain, "0123456789abcdef", rules, clock),
            )

        class Shared(machine):  # type: ignore[valid-type, misc]
            pass

        Shared.make, Shared.runner = staticmethod(make), runner
        try:
            run_state_machine_as_test(Shared, settings=how)
        finally:
            runner.run(opened.__aexit__(None, None, None))
