"""Policy and tokenservice, killed wherever a token is on its way: reserve, mint, commit, answer.

`CHAOS_SECONDS` says how long the attack lasts, less than an hour; `--log-cli-level=INFO` what
happened in it.
"""

import asyncio
import base64
import logging
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import pytest
from chaos_history import Heard, History, violations
from chaos_processes import fleet, run_load, short_directory
from chaos_quota import LEASE, QUOTAS, policy_environment
from chaos_settling import books
from chaos_token_load import Caller, stubs_of
from chaos_workers import Load
from chaos_wounds import POLICY_POINTS, TOKENSERVICE_POINTS
from emulator_process import KEY, emulator
from servers import valkey_server

log = logging.getLogger(__name__)

SECONDS = float(os.environ.get("CHAOS_SECONDS", "12"))
pytestmark = pytest.mark.timeout(SECONDS * 3 + 84)
REPLICAS = 3
ROUNDS = 3
"""At most, should a slow machine not have come to each point in the first."""
POINTS = {*POLICY_POINTS, *TOKENSERVICE_POINTS}


@asynccontextmanager
async def bad_days(url: str) -> AsyncIterator[None]:
    """Have some mints outlast their lease, some fail, and some end without an answer."""
    faults = [
        {"latencyMs": round(LEASE * 1300), "count": 2},
        {"disconnect": True, "count": 1},
        {"status": 503, "count": 1},
    ]

    async def order() -> None:
        async with aiohttp.ClientSession(trust_env=False) as session:
            while True:
                async with session.post(f"{url}/emulator/v1/faults/mint", json=faults) as answer:
                    answer.raise_for_status()
                await asyncio.sleep(0.5)

    orders = asyncio.create_task(order())
    try:
        yield
    finally:
        orders.cancel()
        with suppress(asyncio.CancelledError):
            await orders


async def minted(url: str) -> set[str]:
    """Return all tokens that were ever made."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(f"{url}/emulator/v1/tokens") as answer,
    ):
        return {token["name"] for token in (await answer.json())["tokens"]}


async def recover(history: History, targets: list[str], jwt_secret: str) -> None:
    """Ask for all that was not answered, until it is."""
    async with AsyncExitStack() as stack:
        caller = Caller(await stubs_of(targets, stack), history, jwt_secret)
        gate = asyncio.Semaphore(20)

        async def ask(user: str, request: str) -> None:
            async with gate:
                while await caller.insist(user, request) is Heard.NOTHING:
                    pass  # some give up too soon

        await asyncio.gather(*(ask(*request) for request in history.open))


async def test_killed_anywhere_a_token_is_delivered_and_paid_once() -> None:
    """Killed at each step of the way, a token is had and paid for, or neither; by the limits."""
    jwt_secret = secrets.token_hex(32)
    async with AsyncExitStack() as stack:
        place = stack.enter_context(short_directory())
        aof = {"appendonly": "yes", "appendfsync": "always"}
        store = await stack.enter_async_context(valkey_server(place / "valkey", config=aof))
        gemini = await stack.enter_async_context(emulator(place))
        policies = await stack.enter_async_context(
            fleet(
                place,
                "policy",
                policy_environment(place, store.url),
                [{} for _ in range(REPLICAS)],
                doom_within=60,
            )
        )
        tokenservices = await stack.enter_async_context(
            fleet(
                place,
                "tokenservice",
                {
                    "TOKENSERVICE_SEAL_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                    "LIVE_API_JWT_SECRET": jwt_secret,
                    "LIVE_API_SESSION_START_WINDOW_MINUTES": "30",  # how long repeats are answered
                    "GEMINI_API_KEY": KEY,
                    "GOOGLE_GEMINI_BASE_URL": gemini,
                },
                [{"TOKENSERVICE_POLICY_TARGET": target} for target in policies.targets],
                doom_within=60,
            )
        )
        load = Load(
            tokenservices.targets, SECONDS, workers=4, callers=50, think=0.5, jwt_secret=jwt_secret
        )
        history, deaths = History(), Counter[str]()
        for _ in range(ROUNDS):
            async with bad_days(gemini):
                history.extend(await run_load(place, "chaos_token_load", load))
            deaths = policies.deaths + tokenservices.deaths
            if deaths.keys() >= POINTS:
                break
        await policies.calm()
        await tokenservices.calm()
        assert violations(history.issues, QUOTAS) == []

        before, made = history.delivered, await minted(gemini)
        policy = await stack.enter_async_context(books(policies.targets[0]))
        await policy.settled(LEASE)
        charged = await policy.charged(history.users)
        await recover(history, tokenservices.targets, jwt_secret)
        await policy.settled(LEASE)
        found = Counter(
            issue.user for issue in history.issues for token in issue.tokens if token in made
        )
        assert charged == {user: found[user] for user in history.users}
        delivered = history.delivered
        charged = await policy.charged(history.users)
        assert charged == {user: delivered[user] for user in history.users}
        assert violations(history.issues, QUOTAS) == []
        tokens = {token for issue in history.issues for token in issue.tokens}
        made = await minted(gemini)
        assert tokens <= made
        assert policies.errors + tokenservices.errors == []
    log.info("%s users, %s tokens delivered", len(charged), before.total())
    log.info("%s recovered, %s orphans", (found - before).total(), len(made - tokens))
    log.info("%s deaths: %s", deaths.total(), dict(sorted(deaths.items())))
    log.info("heard: %s", dict(sorted(history.notes.items())))
    assert deaths.keys() == POINTS
    assert before.total() >= 50
