"""How a store talks to its servers: how long it waits, and what becomes of errors.

redis-py tries a call again ten times by default; here nothing is tried again but
a script that the server does not know any more, which has changed nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ConnectionError as Unreachable,
    MovedError,
    NoScriptError,
    TimeoutError as Late,
)

from serving import store_calls
from serving.log_areas import debugging
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

log = structlog.get_logger(__name__)

T = TypeVar("T")
U = TypeVar("U")
Client = Redis | RedisCluster


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name under which a server keeps it."""

    name: str
    source: bytes
    sha: str

    @classmethod
    def of(cls, name: str, source: str) -> Script:
        """Return the script of this text, whose first line must say which flags it has."""
        if not source.startswith("#!lua"):
            raise ValueError(f"{name}: the first line says which flags the script has")
        text = source.encode()
        return cls(name, text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


class Link:
    """A client, and the limits within which it is used."""

    def __init__(self, client: Client, *, timeout_ms: int, calls: int) -> None:
        """Let no operation take longer than `timeout_ms`, nor more than `calls` at a time."""
        self.client = client
        self._seconds = timeout_ms / 1000
        # Not the pools' own bounds: a cluster's and Sentinel's do not wait, they raise.
        self._gate = asyncio.Semaphore(calls)

    @property
    def clustered(self) -> bool:
        """Whether keys of different users may live on different servers."""
        return isinstance(self.client, RedisCluster)

    async def within(self, work: Coroutine[Any, Any, T], operation: str = "") -> T:
        """Do `work` within the limits; whatever fails in it is a store that cannot answer.

        It is traced and measured as `operation`; without a name, as a part of another.
        """
        with store_calls.called(store_calls.REDIS, operation) if operation else nullcontext():
            try:
                async with asyncio.timeout(self._seconds), self._gate:
                    return await work
            except StoreUnavailable:
                raise
            except Exception as error:
                raise StoreUnavailable(f"the store failed: {_told(error)}") from error
            finally:
                work.close()  # without effect, unless its turn never came

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        """Run a script."""
        rest = (len(keys), *keys, *args)
        await self._ready()
        started = time.perf_counter()
        try:
            answer = await self.client.execute_command("EVALSHA", script.sha, *rest)
        except NoScriptError:  # restarted, failed over, flushed: it has not run
            answer = await self.client.execute_command("EVAL", script.source, *rest)
        _tell(script, started)
        return list(answer)

    async def run_and_wait(
        self, script: Script, keys: Sequence[str], args: Sequence[Any], replicas: int, ms: int
    ) -> tuple[list[Any], int]:
        """Run a script that can be repeated, and wait for replicas; return how many have it.

        WAIT counts what its own connection wrote, so both take the same; and the script must
        write each time that it runs, a repeat too, or WAIT would answer at once.
        """
        rest = (len(keys), *keys, *args)
        started = time.perf_counter()
        answer, acks = await self._pair(keys[0], ("EVALSHA", script.sha, *rest), replicas, ms)
        if isinstance(answer, NoScriptError):
            answer, acks = await self._pair(keys[0], ("EVAL", script.source, *rest), replicas, ms)
        if isinstance(answer, MovedError | AskError):
            # This follows the slot, and learns where it is. What it wrote, it wrote on any
            # connection: the repeat writes again on the one that then waits.
            await self.run(script, keys, args)
            answer, acks = await self._pair(keys[0], ("EVALSHA", script.sha, *rest), replicas, ms)
        for result in (answer, acks):
            if isinstance(result, Exception):
                raise result
        _tell(script, started, int(acks))
        return list(answer), int(acks)

    async def _pair(self, key: str, command: tuple[Any, ...], replicas: int, ms: int) -> list[Any]:
        await self._ready()
        if isinstance(self.client, RedisCluster):
            node = self.client.get_node_from_key(key)
            if node is None:
                raise StoreUnavailable("no server of the cluster has the user's slot")
            both = self.client.pipeline()
            both.execute_command(*command, target_nodes=node)
            both.execute_command("WAIT", replicas, ms, target_nodes=node)
            return await both.execute(raise_on_error=False, allow_redirections=False)
        pipe = self.client.pipeline(transaction=False)
        pipe.execute_command(*command)
        pipe.execute_command("WAIT", replicas, ms)
        return await pipe.execute(raise_on_error=False)

    async def _ready(self) -> None:
        # What several callers ask of a cluster's client that does not know the cluster yet, it
        # sends to any server, and then closes connections that others wait on.
        if isinstance(self.client, RedisCluster):
            await self.client.initialize()

    async def get(self, key: str) -> bytes | None:
        """Read a value."""
        await self._ready()
        value: bytes | None = await self.client.execute_command("GET", key)
        return value

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read values, in as many round trips as there are servers."""
        return await self.run_all([("GET", key) for key in keys])

    async def run_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run commands that do not depend on each other, in as many round trips as servers.

        The first that fails is raised, once all have run.
        """
        await self._ready()
        pipe = (
            self.client.pipeline()
            if isinstance(self.client, RedisCluster)
            else self.client.pipeline(transaction=False)
        )
        for command in commands:
            pipe.execute_command(*command)
        answers = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return list(answers)

    async def primaries(self) -> list[Any]:
        """Return what takes `execute_command` for each server that is written to."""
        if isinstance(self.client, RedisCluster):
            await self.client.initialize()
            return list(self.client.get_primaries())
        return [self.client]


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Do two things at once; where one fails, leave neither behind."""
    tasks = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()  # without effect on one that is done


def _told(error: Exception) -> str:
    """Say what failed, and take out of the error what may hold a key or a value.

    A server repeats the arguments of a command that it does not know, and redis-py those that
    it finds no server for. Of an answer only its code is left, such as READONLY or OOM.
    """
    name = type(error).__name__
    if isinstance(error, Unreachable | Late | OSError):
        return name  # of the connection: says where to, and why not
    code = str(error).partition(" ")[0]
    error.args = (code if code.isalpha() and code.isupper() else "withheld",)
    return f"{name} {error.args[0]}"


def _tell(script: Script, started: float, replicas: int | None = None) -> None:
    if debugging(__name__):
        taken = round((time.perf_counter() - started) * 1000, 3)
        log.debug("script", name=script.name, duration_ms=taken, replicas=replicas)
