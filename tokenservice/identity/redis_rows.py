"""Rows in Redis or Valkey, 7 or later, for any number of machines.

    PREFIX:{identity}:meta       which store it is, and which content
    PREFIX:{identity}:keys       API keys, by id
    PREFIX:{identity}:denials    users who may no longer, by pseudonym

All are in one slot of a cluster. None ever ends by itself.

What a replica's user may do is no more than this, `lt-id` being the prefix of keys; an
operator's may also `+hset +hsetnx +hdel`:

    user tokenservice on >SECRET resetchannels -@all ~lt-id:* +evalsha +eval +hmget +hget
        +hlen +hgetall +info +ping +select +client|setinfo +cluster|slots +command +asking
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import RedisCluster
from redis.exceptions import NoPermissionError

from serving.redis.link import Client, Link, Script
from tokenservice.identity.rows import (
    MOST_ROWS,
    Content,
    TooManyRows,
    UnsafeRows,
    Version,
    another_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = structlog.get_logger(__name__)

READS = (
    "resetchannels -@all ~{prefix}:* +evalsha +eval +hmget +hget +hlen +hgetall "
    "+info +ping +select +client|setinfo +cluster|slots +command +asking"
)
"""What an ACL user must be allowed that only reads, as a replica does."""
WRITES = f"{READS} +hset +hsetnx +hdel"
"""What an operator's must be allowed."""

# Reads are not flagged as such: a replica, which may lag without end, would answer them, and
# so would a primary that has lost its replicas to another (min-replicas-to-write).
_VERSION = Script.of(
    "version",
    """#!lua flags=allow-oom
return redis.call('HMGET', KEYS[1], 'names', 'epoch', 'change')
""",
)
_READ = Script.of(
    "read",
    """#!lua flags=allow-oom
local meta = redis.call('HMGET', KEYS[1], 'names', 'epoch', 'change')
return {meta, redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}
""",
)
_CHANGE = Script.of(
    "change",
    """#!lua
local names, epoch, change, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local row, before, after = ARGV[5], ARGV[6], ARGV[7]
if (redis.call('HGET', KEYS[1], 'names') or names) ~= names then return {'OTHERS'} end
local found = redis.call('HGET', KEYS[2], row)
if (found or '') ~= before then return {'CHANGED'} end
if after == '' then
  redis.call('HDEL', KEYS[2], row)
else
  if not found and redis.call('HLEN', KEYS[2]) >= most then return {'FULL'} end
  redis.call('HSET', KEYS[2], row, after)
end
redis.call('HSETNX', KEYS[1], 'names', names)
redis.call('HSETNX', KEYS[1], 'epoch', epoch)
redis.call('HSET', KEYS[1], 'change', change)
return {'DONE'}
""",
)
_CALLS = 4
_SECTIONS = ("memory", "replication", "persistence")


class RedisRows:
    """Keeps rows in three hashes. Whatever goes wrong is StoreUnavailable."""

    def __init__(
        self,
        client: Client,
        *,
        names: bytes,
        prefix: str = "lt-id",
        timeout_ms: int = 375,
        most: int = MOST_ROWS,
    ) -> None:
        """Use `client`, which open_redis made; it stays the caller's to close.

        `names` is the fingerprint of the key that rows are sealed under. No call
        takes longer than `timeout_ms`; no table has more than `most` rows.
        """
        self._link = Link(client, timeout_ms=timeout_ms, calls=_CALLS)
        self._prefix = f"{prefix}:{{identity}}"
        self._names, self._most = names, most

    async def check(self, *, proofs: bool = False) -> None:
        """Raise UnsafeRows if a server may drop rows: whom they deny would be let in again.

        With `proofs`, what ends by itself may not be dropped before either: a proof that
        was used could be used again.
        """
        for told in await self._link.within(self._told()):
            policy = str(told.get("maxmemory_policy"))
            if policy.startswith("allkeys") or (proofs and policy.startswith("volatile")):
                raise UnsafeRows(
                    f"the store's maxmemory-policy is {policy}: a full server would drop whom "
                    "or what to refuse; noeviction keeps all"
                )
            if not told.get("aof_enabled") and not told.get("connected_slaves"):
                log.warning(
                    "store forgets when it restarts",
                    reason="neither appendonly nor a replica is on: a restart of the server "
                    "ends all API keys, and lets everybody in again who was denied",
                )

    async def version(self) -> Version:
        """See Rows."""
        script = self._link.run(_VERSION, self._keys(), ())
        return self._version(await self._link.within(script, "identity_version"))

    async def read(self) -> Content:
        """See Rows."""
        script = self._link.run(_READ, self._keys("keys", "denials"), ())
        meta, keys, denials = await self._link.within(script, "identity_read")
        return Content(self._version(meta), _pairs(keys), _pairs(denials))

    async def change(
        self, table: str, name: str, before: bytes | None, after: bytes | None
    ) -> bool:
        """See Rows."""
        new = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        values = (self._names, *new, self._most, name, before or b"", after or b"")
        script = self._link.run(_CHANGE, self._keys(table), values)
        outcome = await self._link.within(script, "identity_change")
        match outcome[0]:
            case b"OTHERS":
                raise self._another_key()
            case b"FULL":
                raise TooManyRows(f"there are {self._most} already")
            case answer:
                return bool(answer == b"DONE")

    def _keys(self, *tables: str) -> list[str]:
        return [f"{self._prefix}:{each}" for each in ("meta", *tables)]

    def _version(self, meta: Sequence[bytes | None]) -> Version:
        names, epoch, change = meta
        if names not in {None, self._names}:
            raise self._another_key()
        return Version(epoch or b"", change or b"")

    def _another_key(self) -> UnsafeRows:
        return another_key("another TOKENSERVICE_STORE_PREFIX")

    async def _told(self) -> list[Mapping[str, Any]]:
        try:
            return [await self._info(server) for server in await self._link.primaries()]
        except NoPermissionError:
            raise UnsafeRows(
                "the store's user may not ask INFO, so nobody knows whether the server evicts: "
                "allow it +info"
            ) from None

    async def _info(self, server: Any) -> Any:
        client: Any = self._link.client
        if isinstance(client, RedisCluster):
            return await client.execute_command("INFO", *_SECTIONS, target_nodes=server)
        return await server.execute_command("INFO", *_SECTIONS)


def _pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    pairs = iter(flat)
    # No name of ours is other than ASCII: one that is not even text names nothing.
    return {name.decode(errors="replace"): value for name, value in zip(pairs, pairs, strict=True)}
