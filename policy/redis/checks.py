"""Whether a server can be trusted with quotas, at the start and later.

What the store's user may do is no more than this, `lt` being the prefix of keys:

    user policy on >SECRET resetchannels -@all ~lt:* +evalsha +eval +get +set +del
        +pexpire +pttl +time +zadd +zrange +zrem +zremrangebyscore +zremrangebyrank
        +info +scan +wait +ping +select +client|setinfo +cluster|slots +command +asking

`ACL` below has it for programs. `scan`, which lists names of all keys, is for the
operators' numbers alone; `cluster|slots`, `command` and `asking` for clusters. Redis 7.0
does not know `client|setinfo`, and needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import RedisCluster
from redis.exceptions import NoPermissionError

from policy.limits import DAY_MS
from serving.redis.link import Client, Link
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

ACL = (
    "resetchannels -@all ~{prefix}:* "
    "+evalsha +eval +get +set +del "
    "+pexpire +pttl +time +zadd +zrange +zrem +zremrangebyscore +zremrangebyrank "
    "+info +scan +wait +ping +select +client|setinfo +cluster|slots +command +asking"
)
"""What an ACL user must be allowed."""

_START_MS = 5_000
_MARK_MS = 2 * DAY_MS
"""Longer than any charge counts: an outage that outlasts it has forgotten nothing of worth."""
_SECTIONS = ("memory", "replication", "persistence")


class UnsafeStore(StoreUnavailable):
    """The server would lose charges, and so let quotas be overspent."""


async def start_check(client: Client, *, allow_eviction: bool = False) -> None:
    """Raise UnsafeStore if a server may drop charges, StoreUnavailable if it cannot be asked."""
    link = Link(client, timeout_ms=_START_MS, calls=1)
    for told in await link.within(_told(link)):
        policy = told.get("maxmemory_policy")
        if policy != "noeviction":
            if not allow_eviction:
                raise UnsafeStore(
                    f"{_evicts(policy)}; POLICY_STORE_ALLOW_EVICTION=true starts all the same"
                )
            log.warning("store evicts", maxmemory_policy=policy, reason=_evicts(policy))
        if not told.get("aof_enabled") and not told.get("connected_slaves"):
            log.warning(
                "store forgets when it restarts",
                reason="neither appendonly nor a replica is on: a restart of the server "
                "gives every user a full quota again",
            )


async def check(
    link: Link, mark: str, names: bytes, *, allow_eviction: bool, marked: bool = False
) -> None:
    """Return if every server can decide now: reachable, writable, loaded, still noeviction.

    It leaves a `mark`, which says by what key users are named. Where one was left before,
    and is gone, so is the rest: that is logged, once among all policies. In a cluster it
    tells of one server. Raises UnsafeStore where the mark is another's.
    """
    for told in await _told(link):
        if told.get("role") != "master":
            raise StoreUnavailable("the store's server is a replica")
        if told.get("loading"):
            raise StoreUnavailable("the store's server is loading its data")
        policy = told.get("maxmemory_policy")
        if policy != "noeviction" and not allow_eviction:
            raise StoreUnavailable(_evicts(policy))
    if await link.get(mark) not in {None, names}:
        raise UnsafeStore(
            "the store holds what was named by another POLICY_HASH_KEY, so every user would "
            f"be a stranger with a full quota: use that key, or another POLICY_STORE_PREFIX, "
            f"or, to begin anew, delete {mark}"
        )
    # What only a write tells: memory is full, too few replicas follow, the disk is.
    found = await link.client.execute_command("SET", mark, names, "PX", _MARK_MS, "GET", get=True)
    if marked and found is None:
        log.error(
            "store forgot",
            reason="what policy left in it is gone: it was flushed, or restarted without its "
            "data. Every user has a full quota again, and blocks are lifted",
        )


async def _told(link: Link) -> list[Mapping[str, Any]]:
    try:
        return [await _info(link.client, server) for server in await link.primaries()]
    except NoPermissionError:
        raise UnsafeStore(
            "the store's user may not ask INFO, so nobody knows whether the server evicts "
            "charges: allow it +info"
        ) from None


async def _info(client: Client, server: Any) -> Any:
    if isinstance(client, RedisCluster):
        # Not by the server's own method: the cluster's client would not hear that it is gone,
        # and not ask the others who serves in its place.
        asked: Any = client.execute_command
        return await asked("INFO", *_SECTIONS, target_nodes=server)
    return await server.execute_command("INFO", *_SECTIONS)


def _evicts(policy: object) -> str:
    return (
        f"the store's maxmemory-policy is {policy}, not noeviction: a full server would drop "
        "charges, and their users could spend them again"
    )
