"""What a browser gets while policy's store is away: an answer in time, and no token."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from client import TOKEN_PATH, Answer, Caller, caller, new_user
from servers import valkey_server
from servers_waiting import until
from store_failures import BACK, DURABLE, HASH_KEY, IN_TIME, USER, url_of

from stack.layout import Layout
from stack.supervisor import running

SAFE = {**DURABLE, "user": USER}


async def test_no_store_no_token(make_layout: Callable[..., Layout], tmp_path: Path) -> None:
    """The store hangs: 503 and Retry-After, nothing minted, health says policy; then all is well.

    It dies during a mint: 503, and the token that was made is delivered to nobody.
    """
    async with valkey_server(tmp_path, config=SAFE) as server:
        layout = make_layout(POLICY_STORE_URL=url_of(server), POLICY_HASH_KEY=HASH_KEY)
        async with running(layout) as stack, caller(stack.layout) as client:
            user = new_user()
            assert (await client.call(subject=user)).status == 200

            server.pause()
            started = time.monotonic()
            answer = await client.call(subject=new_user())
            assert time.monotonic() - started < 2 * IN_TIME, "policy is asked twice"
            assert unavailable(answer)
            assert await minted(client) == 1
            assert unavailable(await client.call("GET", f"{TOKEN_PATH}/usage", subject=user))
            sick = await until_health(client, 503)
            assert sick.body["code"] == "POLICY_UNAVAILABLE"
            assert "policy" in sick.body["error"]
            server.resume()
            await until_health(client, 200)
            assert (await client.call(subject=user)).status == 429, "its first token still counts"
            assert (await client.call(subject=new_user())).status == 200

            await client.emulator("POST", "faults/mint", {"latencyMs": 1500, "count": 1})
            call = asyncio.create_task(client.call(subject=new_user()))

            async def minting() -> bool:
                return bool((await client.emulator("GET", "counters"))["mintRequests"] == 3)

            await until(minting, BACK, "Gemini is asked")
            server.kill()
            assert unavailable(await call)
            assert await minted(client) == 3
            await server.start()
            await until_health(client, 200)
            assert (await client.call(subject=new_user())).status == 200


def unavailable(answer: Answer) -> bool:
    """Whether the caller was told that there is no decision, and when to come again."""
    told = (answer.status, answer.body["code"], answer.headers["Retry-After"])
    return told == (503, "POLICY_UNAVAILABLE", "1") and "token" not in answer.body


async def minted(client: Caller) -> int:
    """Return how many tokens Gemini made."""
    return int((await client.emulator("GET", "counters"))["tokensMinted"])


async def until_health(client: Caller, status: int) -> Answer:
    """Wait until health has that status."""
    answer = await client.call("GET", f"{TOKEN_PATH}/health")

    async def said() -> bool:
        nonlocal answer
        answer = await client.call("GET", f"{TOKEN_PATH}/health")
        return answer.status == status

    await until(said, BACK, f"health answers {status}")
    return answer
