"""What callers get while a part of the stack is away, slow, or too late."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from client import TOKEN_PATH, Caller, caller, new_user
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.channel import open_channel
from stack.layout import Layout
from stack.supervisor import running

SERVICE = "tokenservice.v1.TokenService"
STATUS = health_pb2.HealthCheckResponse


async def test_no_policy_no_token(make_layout: Callable[..., Layout]) -> None:
    """With policy killed: 503, nothing minted, health says which; back with it, all is well."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        policy = next(p for p in stack.layout.programs if p.name == "policy")
        async with open_channel(stack.layout.tokenservice_target) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == STATUS.SERVING

            stack.processes["policy"].kill()
            await stack.stop("policy")
            assert (await watch.read()).status == STATUS.NOT_SERVING
            minted = (await client.emulator("GET", "counters"))["tokensMinted"]
            answer = await client.call(subject=new_user())
            assert (answer.status, answer.body["code"]) == (503, "POLICY_UNAVAILABLE")
            assert "token" not in answer.body
            assert answer.headers["Retry-After"] == str(answer.body["retryAfter"])
            assert (await client.emulator("GET", "counters"))["tokensMinted"] == minted
            sick = await client.call("GET", f"{TOKEN_PATH}/health")
            assert (sick.status, sick.body["code"]) == (503, "POLICY_UNAVAILABLE")
            assert "policy" in sick.body["error"]

            await stack.launch(policy)
            assert (await watch.read()).status == STATUS.SERVING
            watch.cancel()
        assert (await client.call(subject=new_user())).status == 200


async def test_a_hung_policy_costs_neither_time_nor_quota(
    make_layout: Callable[..., Layout],
) -> None:
    """With policy stopped in its tracks: 503 in time, and no charge is left of it."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        user = new_user()
        stack.processes["policy"].send_signal(signal.SIGSTOP)
        async with asyncio.timeout(5):
            answer = await client.call(subject=user)
        assert (answer.status, answer.body["code"]) == (503, "POLICY_UNAVAILABLE")
        health = await client.call("GET", f"{TOKEN_PATH}/health")
        while health.status == 200:  # it is asked twice a second
            health = await client.call("GET", f"{TOKEN_PATH}/health")
        assert health.body["code"] == "POLICY_UNAVAILABLE"
        stack.processes["policy"].send_signal(signal.SIGCONT)
        assert (await client.call(subject=user)).status == 200
        assert (await client.emulator("GET", "counters"))["tokensMinted"] == 1


async def test_a_token_whose_lease_ran_out_is_dropped(
    make_layout: Callable[..., Layout],
) -> None:
    """A mint slower than its lease ends in 503: its token is delivered to nobody."""
    layout = make_layout(POLICY_LEASE_MS="1000")
    async with running(layout) as stack, caller(stack.layout) as client:
        user = new_user()
        await client.emulator("POST", "faults/mint", {"latencyMs": 1300, "count": 1})
        late = await client.call(subject=user)
        assert (late.status, late.body["code"]) == (503, "POLICY_UNAVAILABLE")
        assert "token" not in late.body
        assert (await client.emulator("GET", "counters"))["tokensMinted"] == 1
        usage = await client.call("GET", f"{TOKEN_PATH}/usage", subject=user)
        assert usage.body["data"]["tokensLastDay"] == 0
        assert (await client.call(subject=user)).status == 200


async def test_who_hangs_up_finds_the_token_again(make_layout: Callable[..., Layout]) -> None:
    """A caller that leaves during the mint is charged once, and its repeat gets that token."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        user, headers = new_user(), {"Idempotency-Key": "a-key"}
        await client.emulator("POST", "faults/mint", {"latencyMs": 500, "count": 1})
        call = asyncio.create_task(client.call(subject=user, headers=headers))
        await _until_minting(client)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        again = await client.call(subject=user, headers=headers)
        while again.status == 409:  # the first attempt is still at work, as it should be
            assert again.body["code"] == "IDEMPOTENCY_KEY_IN_USE"
            again = await client.call(subject=user, headers=headers)
        assert again.status == 200
        assert again.body["usage"]["tokensLastDay"] == 1
        assert (await client.emulator("GET", "counters"))["tokensMinted"] == 1


async def test_gemini_away(make_layout: Callable[..., Layout]) -> None:
    """With Gemini gone: 503 UPSTREAM_UNAVAILABLE, and the charge is given back."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        await stack.stop("emulator")
        user = new_user()
        answer = await client.call(subject=user)
        assert (answer.status, answer.body["code"]) == (503, "UPSTREAM_UNAVAILABLE")
        usage = await client.call("GET", f"{TOKEN_PATH}/usage", subject=user)
        assert usage.body["data"]["tokensLastDay"] == 0


async def test_a_key_that_may_list_but_not_mint(make_layout: Callable[..., Layout]) -> None:
    """A mint refused for our fault shows in health, until one succeeds."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        await client.emulator("POST", "faults/mint", {"status": 403, "count": 1})
        assert (await client.call(subject=new_user())).status == 502
        sick = await client.call("GET", f"{TOKEN_PATH}/health")
        assert sick.status == 503
        reasons = {
            d["metadata"]["name"]: d["reason"] for d in sick.body["details"] if "metadata" in d
        }
        assert reasons == {"gemini": "UPSTREAM_MISCONFIGURED"}
        assert (await client.call(subject=new_user())).status == 200
        assert (await client.call("GET", f"{TOKEN_PATH}/health")).status == 200


async def test_tokenservice_away(make_layout: Callable[..., Layout]) -> None:
    """With tokenservice gone, the gateway says so in the contract's form."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        await stack.stop("tokenservice")
        answer = await client.call(subject=new_user())
        assert (answer.status, answer.body["code"]) == (503, "UPSTREAM_UNAVAILABLE")
        assert answer.body["retryAfter"] >= 1


async def _until_minting(client: Caller) -> None:
    while not (await client.emulator("GET", "counters"))["mintRequests"]:
        pass
