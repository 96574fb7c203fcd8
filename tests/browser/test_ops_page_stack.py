"""The operations page before the whole stack: what happens there is what is seen here."""

import time

import pytest
from client import Caller, caller, new_user
from ops_page import operating
from playwright.async_api import Browser, expect

from stack.supervisor import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def is_blocked(client: Caller, user: str) -> None:
    """Have a user blocked, for what they ask for."""
    for _ in range(5):
        answer = await client.call(subject=user, json={"model": "../other"})
        assert answer.body["code"] == "MODEL_NOT_ALLOWED", answer.body
    answer = await client.call(subject=user)
    assert answer.body["code"] == "USER_BLOCKED", answer.body


async def test_an_operator_sees_and_lifts_a_block(browser: Browser, stack: Stack) -> None:
    """Tokens, refusals and a block are seen as they come; the block is lifted, and its user served.

    Others are not let in: neither a user, nor somebody whom nobody knows.
    """
    layout, now = stack.layout, time.time()
    user = new_user()
    async with operating(browser, layout.gateway_url) as operator, caller(layout) as client:
        await operator.enter(layout.bearer(user, now))
        await expect(operator.state).to_have_text("Stopped: Only operators may watch the service.")
        await operator.enter("not.a.credential")
        await expect(operator.page.locator("#refusal")).to_contain_text("UNAUTHENTICATED")
        await operator.enter(layout.bearer("operator", now, roles=["operator"]))
        await expect(operator.state).to_have_text("Live")
        await expect(operator.region("Health").locator(".unwell")).to_have_count(0)

        assert (await client.call(subject=new_user())).status == 200
        await is_blocked(client, user)
        await operator.count("Issued", 1)
        await operator.count("Model not allowed", 5)
        await operator.count("User blocked", 1)
        hops = operator.region("Where the time goes").get_by_role("listitem")
        await expect(hops).to_have_count(4)
        await expect(hops.filter(has_text="nothing lately")).to_have_count(0)
        refused = operator.page.locator("#clients").get_by_role("listitem")
        await expect(refused.filter(has_text="6 refusals")).to_contain_text("user_block")

        await expect(operator.blocks).to_have_count(1)
        await expect(operator.blocks).to_contain_text("suspicious_content by policy")
        await operator.ask_to_lift()
        await operator.confirm("a test of ours")
        await expect(operator.announced).to_contain_text("Lifted: user ")
        await expect(operator.blocks).to_have_count(0)
        assert (await client.call(subject=user)).status == 200
        await operator.count("Issued", 2)
