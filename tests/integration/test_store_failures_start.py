"""Policy starts whatever its store does, except on one that it must not use."""

import time
from pathlib import Path

from servers import valkey_server
from servers_process import HOST, free_port
from store_failures import (
    DURABLE,
    HASH_KEY,
    IN_TIME,
    PASSWORD,
    USER,
    end_of,
    process,
    serving,
    url_of,
)

SAFE = {**DURABLE, "user": USER}


async def test_a_url_that_says_nothing_useful() -> None:
    """Exit code 2, one line that names the setting and why; the password is not in it."""
    url = f"redis://policy:{PASSWORD}@store:six/0"
    code, lines = await end_of(POLICY_STORE_URL=url, POLICY_HASH_KEY=HASH_KEY)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith("policy: POLICY_STORE_URL: ")
    assert "something else than a number as port" in lines[0]
    assert PASSWORD not in lines[0]


async def test_a_shared_store_needs_a_shared_key() -> None:
    """POLICY_STORE_URL without POLICY_HASH_KEY: exit code 2, one line that says what to set."""
    code, lines = await end_of(POLICY_STORE_URL=f"redis://policy:{PASSWORD}@{HOST}/0")
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith("policy: POLICY_HASH_KEY: must be set with POLICY_STORE_URL")


async def test_a_store_that_evicts_is_refused(tmp_path: Path) -> None:
    """Exit code 1, one line that names the setting, why, and how to start all the same."""
    config = {"user": USER, "maxmemory-policy": "allkeys-lru"}
    async with valkey_server(tmp_path, config=config) as server:
        code, lines = await end_of(POLICY_STORE_URL=url_of(server), POLICY_HASH_KEY=HASH_KEY)
    assert (code, len(lines)) == (1, 1), lines
    assert lines[0].startswith(
        "policy: POLICY_STORE_URL: the store's maxmemory-policy is allkeys-lru, not noeviction"
    )
    assert "POLICY_STORE_ALLOW_EVICTION=true" in lines[0]
    assert PASSWORD not in lines[0]


async def test_a_store_that_may_not_be_asked_is_refused(tmp_path: Path) -> None:
    """Nobody knows whether it evicts: exit code 1, one line that says which right is missing."""
    async with valkey_server(tmp_path, config={"user": f"{USER} -info"}) as server:
        code, lines = await end_of(POLICY_STORE_URL=url_of(server), POLICY_HASH_KEY=HASH_KEY)
    assert (code, len(lines)) == (1, 1), lines
    assert lines[0].startswith("policy: POLICY_STORE_URL: the store's user may not ask INFO")
    assert lines[0].endswith("allow it +info")


async def test_policy_starts_before_its_store(tmp_path: Path) -> None:
    """It says NOT_SERVING and decides nothing, until the server appears; then it serves."""
    async with valkey_server(tmp_path, config=SAFE) as server:
        server.kill()
        async with process(url_of(server)) as policy:
            assert not await policy.serves()
            assert (await policy.reserve("ann")).no_decision
            assert policy.said("store is away")
            await server.start()
            await policy.until_serving()
            await policy.issue("ann")


async def test_policy_starts_beside_a_store_that_hangs(tmp_path: Path) -> None:
    """The start waits for it no longer than any call would."""
    async with valkey_server(tmp_path, config=SAFE) as server:
        server.pause()
        started = time.monotonic()
        async with serving(url_of(server)) as policy:
            assert time.monotonic() - started < IN_TIME
            assert not await policy.serves()
            assert (await policy.reserve("ann")).no_decision
            server.resume()
            await policy.until_serving()
            await policy.issue("ann")


async def test_policy_starts_with_a_password_that_is_not_known_yet(tmp_path: Path) -> None:
    """As soon as the server knows it, policy serves."""
    async with valkey_server(tmp_path, config=DURABLE) as server, serving(url_of(server)) as policy:
        assert not await policy.serves()
        assert (await policy.reserve("ann")).no_decision
        await policy.until_told("AuthenticationError")
        await server.ask("ACL", "SETUSER", *USER.split())
        await policy.until_serving()
        await policy.issue("ann")


async def test_a_store_that_appears_late_is_checked_as_well(tmp_path: Path) -> None:
    """Does it evict, policy that has started does not end, but never says SERVING."""
    port = free_port()
    async with serving(f"redis://policy:{PASSWORD}@{HOST}:{port}/0") as policy:
        config = {"user": USER, "maxmemory-policy": "volatile-lru"}
        async with valkey_server(tmp_path, config=config, port=port) as server:
            await policy.until_told("maxmemory-policy is volatile-lru")
            assert not await policy.serves()
            await server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            await policy.until_serving()
