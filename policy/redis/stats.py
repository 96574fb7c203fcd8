"""The numbers of all users together, read off every key: for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.account import State
from policy.decisions import Stats
from policy.limits import DAY_MS, HOUR_MS
from policy.redis import codec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.account import Charge
    from serving.redis.link import Link

_BATCH = 500


async def stats(link: Link, prefix: str, now: int) -> Stats:
    """Walk over all servers. Each batch is a turn of its own: others come in between.

    It is no snapshot, and a user may be counted twice while the server's table shrinks.
    """
    total = [0] * 5
    for server in await link.within(link.primaries()):
        cursor: Any = 0
        while True:
            cursor, names = await link.within(
                server.execute_command(
                    "SCAN", cursor, "MATCH", f"{prefix}:{{*}}:q", "COUNT", _BATCH
                )
            )
            if names:
                for log in await link.within(link.get_all(names)):
                    numbers = _numbers(codec.charges(log or b""), now)
                    total = [a + b for a, b in zip(total, numbers, strict=True)]
            if int(cursor) == 0:
                break
    return Stats(*total)


def _numbers(charges: Iterable[Charge], now: int) -> tuple[int, int, int, int, int]:
    live = [charge for charge in charges if now < charge.counts_until]
    issued = [charge for charge in live if charge.state is State.ISSUED]
    return (
        any(now < charge.at + DAY_MS for charge in issued),
        sum(charge.count for charge in issued if now < charge.expires),
        sum(charge.count for charge in issued if now < charge.at + HOUR_MS),
        sum(charge.count for charge in issued if now < charge.at + DAY_MS),
        sum(charge.pending for charge in live),
    )
