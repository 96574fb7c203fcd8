"""Policy under attack: real processes on a real store, all of which are killed.

`CHAOS_SECONDS` says how long each attack lasts, less than an hour; `--log-cli-level=INFO` what
happened in it.
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from chaos_history import History, violations
from chaos_processes import Fleet, fleet, run_load, short_directory
from chaos_quota import LEASE, QUOTAS, policy_environment
from chaos_settling import books
from chaos_workers import Load
from servers import ValkeyServer, valkey_server

log = logging.getLogger(__name__)

SECONDS = float(os.environ.get("CHAOS_SECONDS", "10"))
pytestmark = pytest.mark.timeout(SECONDS + 110)
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
NEVER = {"appendonly": "no"}
LOAD = "chaos_policy_load"


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory for sockets and logs."""
    with short_directory() as directory:
        yield directory


@pytest.fixture
def policies() -> list[dict[str, str]]:
    """Return four replicas, which differ in nothing."""
    return [{} for _ in range(4)]


async def check_the_books(history: History, running: Fleet) -> None:
    """Let the dust settle; then nobody has too much, and has paid for exactly that."""
    assert violations(history.issues, QUOTAS) == []
    async with books(running.targets[-1]) as policy:
        await policy.settled(LEASE)
        charged = await policy.charged(history.users)
        recovered = await policy.recover(history)
        await policy.settled(LEASE)
        assert await policy.charged(history.users) == charged
    assert violations(history.issues, QUOTAS) == []
    delivered = history.delivered
    assert charged == {user: delivered[user] for user in history.users}
    assert history.notes["late commit: tokens"] == 0
    assert running.errors == []
    log.info("%s users, %s tokens, %s recovered", len(charged), delivered.total(), recovered)
    log.info("heard: %s", dict(sorted(history.notes.items())))
    assert delivered.total() >= 100


async def test_killed_policies_issue_what_is_allowed(
    place: Path, policies: list[dict[str, str]]
) -> None:
    """Of 800 callers on policies that are killed, nobody gets too much, nor pays for nothing."""
    async with valkey_server(place / "valkey", config=ALWAYS) as store:
        environment = policy_environment(place, store.url)
        async with fleet(place, "policy", environment, policies, kill_every=0.6) as running:
            history = await run_load(place, LOAD, Load(running.targets, SECONDS))
            deaths = running.deaths
            await running.calm()
            await check_the_books(history, running)
    log.info("deaths: %s", dict(deaths))
    assert set(deaths) == {"killed"}
    assert deaths["killed"] >= 5


async def test_a_killed_store_that_writes_always_forgets_nothing(
    place: Path, policies: list[dict[str, str]]
) -> None:
    """With AOF always, a store that crashes again and again changes nothing; policies go on."""
    async with valkey_server(place / "valkey", config=ALWAYS) as store:
        environment = policy_environment(place, store.url)
        async with fleet(place, "policy", environment, policies) as running:
            crashes = asyncio.create_task(crash_again_and_again(store))
            history = await run_load(place, LOAD, Load(running.targets, SECONDS))
            count = await end_of(crashes)
            await running.ready()
            await check_the_books(history, running)
            assert not running.deaths  # none had to be restarted
    log.info("crashes: %s", count)
    assert count >= 2


async def test_a_killed_store_that_never_writes_is_found_out(
    place: Path, policies: list[dict[str, str]]
) -> None:
    """Without AOF the same attack over-issues, and is seen to: the tests above can fail."""
    async with valkey_server(place / "valkey", config=NEVER) as store:
        environment = policy_environment(place, store.url)
        async with fleet(place, "policy", environment, policies) as running:
            load = Load(running.targets, 6, bursts=4, burst_seconds=3600)
            crash = asyncio.create_task(crash_after(store, 3.5))
            history = await run_load(place, LOAD, load)
            await crash
    found = violations(history.issues, QUOTAS)
    log.info("found: %s", found[:3])
    assert any("in an hour" in each for each in found)


async def crash_after(store: ValkeyServer, seconds: float) -> None:
    """Kill the store, and start it again."""
    await asyncio.sleep(seconds)
    store.kill()
    await asyncio.sleep(0.1)
    await store.start(loading_ok=True)


async def crash_again_and_again(store: ValkeyServer) -> int:
    """Kill the store every 2 to 3 seconds, as often as there is time; return how often."""
    count, ends = 0, time.monotonic() + SECONDS
    while (left := ends - time.monotonic()) > 0:
        await crash_after(store, min(left, 2.4))
        count += 1
    return count


async def end_of(crashes: asyncio.Task[int]) -> int:
    """Wait for the last crash."""
    try:
        return await crashes
    finally:
        crashes.cancel()
        with suppress(asyncio.CancelledError):
            await crashes
