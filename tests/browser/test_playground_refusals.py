"""The playground, where something is refused: it says so, and says what it was told."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from client import caller
from playground import Visitor
from playwright.async_api import Route, expect

from stack.supervisor import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]
HEX = r"[0-9a-f]{16,}"
NO_MICROPHONE = """() => {
  navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException("no", "NotAllowedError");
  };
}"""


async def test_the_cooldown_is_shown(visit: Visit) -> None:
    """A refusal for the cooldown has its sentence, code, limit and ids, and counts down."""
    async with visit() as visitor:
        await visitor.page.clock.install()
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.button("Get a token").click()
        token = visitor.region("Token")
        for told in (
            "429",
            "RATE_LIMIT_EXCEEDED",
            "Cooldown",
            "Rate limit exceeded: cooldown, try again in",
            re.compile(r"Try again in (4:\d\d|5:00), at \d\d:\d\d"),
            re.compile(rf"Decision\s*{HEX}.*Request\s*{HEX}.*Trace\s*{HEX}", re.DOTALL),
        ):
            await expect(token).to_contain_text(told)
        await token.get_by_text("Details").click()
        await expect(token).to_contain_text('"subject": "cooldown"')
        await expect(token.get_by_role("timer")).to_have_count(2)  # of the token one has
        button = visitor.button("Get a token")
        await expect(button).to_have_attribute("aria-disabled", "true")
        await expect(button).to_have_accessible_description(re.compile(r"Allowed again in \d:\d\d"))
        requests = len(visitor.asked)
        await button.click(force=True)
        await visitor.page.clock.fast_forward("05:01")
        await expect(button).to_have_attribute("aria-disabled", "false")
        await expect(token).to_contain_text("Try again now.")
        assert len(visitor.asked) == requests


async def test_whoever_else_asks_need_not_wait(visit: Visit) -> None:
    """A refusal's wait is for who was refused: with another credential one may ask at once."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.button("Get a token").click()
        button = visitor.button("Get a token")
        await expect(button).to_have_attribute("aria-disabled", "true")
        visitor.user += "-else"
        await visitor.introduce_oneself()
        await expect(button).to_have_attribute("aria-disabled", "false")
        await visitor.get_token()


async def test_a_wrong_credential_is_shown(visit: Visit) -> None:
    """A credential that is not accepted is marked, and a token refused with 401."""
    async with visit() as visitor:
        await visitor.enter("eyJhbGciOiJIUzI1NiJ9.e30.bm9ib2R5")
        credential = visitor.page.get_by_label("The credential itself")
        await expect(credential).to_have_attribute("aria-invalid", "true")
        await visitor.button("Get a token").click()
        token = visitor.region("Token")
        await expect(token).to_contain_text("401")
        await expect(token).to_contain_text("UNAUTHENTICATED")
        await expect(token.get_by_role("timer")).to_have_count(0)
        await visitor.enter("ключ")
        await expect(visitor.page.locator("main")).to_contain_text(
            "no text that a header can carry"
        )


async def test_a_credential_counts_that_is_entered_while_the_page_comes(visit: Visit) -> None:
    """Who is faster than the page does not have to enter it again."""
    async with visit() as visitor:
        entered = asyncio.Event()

        async def wait(route: Route) -> None:
            await entered.wait()
            await route.continue_()

        await visitor.page.route("**/playground/config.json", wait)
        await visitor.page.reload(wait_until="commit")
        await visitor.enter(visitor.bearer)
        entered.set()
        await expect(visitor.page.get_by_role("combobox", name="Model")).to_be_visible()


async def test_a_credential_is_tried_when_it_is_complete(visit: Visit) -> None:
    """Nothing is asked before a credential is entered, and of its beginnings none is tried."""
    async with visit() as visitor:
        assert [request.url for request in visitor.asked if "/api/" in request.url] == []
        credential = visitor.page.get_by_label("The credential itself")
        await credential.press_sequentially("not.a.credential")
        await credential.blur()
        await expect(credential).to_have_attribute("aria-invalid", "true")
        assert len([request for request in visitor.asked if "/api/" in request.url]) == 1


async def test_an_api_key_is_known_by_its_looks(visit: Visit) -> None:
    """A credential that looks like an API key is sent as one."""
    async with visit() as visitor:
        key = "ltk_000000000000_" + "0" * 38
        await visitor.enter(key)
        await expect(visitor.page.get_by_label("API key")).to_be_checked()
        await expect(visitor.page.get_by_label("The credential itself")).to_have_attribute(
            "aria-invalid", "true"
        )
        headers = await visitor.asked[-1].all_headers()
        assert headers["x-api-key"] == key
        assert "authorization" not in headers


async def test_a_wrong_field_is_marked(visit: Visit) -> None:
    """What the gateway says of a field stands beside that field, in the gateway's words."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        duration = visitor.page.get_by_label("Duration")
        await duration.fill("61")
        await visitor.button("Get a token").click()
        await expect(visitor.region("Token")).to_contain_text("INVALID_ARGUMENT")
        await expect(duration).to_have_attribute("aria-invalid", "true")
        await expect(duration).to_have_accessible_description(re.compile("60"))
        await duration.fill("60")
        await visitor.get_token()
        await expect(duration).to_have_attribute("aria-invalid", "false")


async def test_a_late_start_is_refused(visit: Visit, stack: Stack) -> None:
    """After the start window a token opens nothing, in the service's own words."""
    async with visit() as visitor, caller(stack.layout) as client:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await client.emulator("POST", "clock", {"advanceSeconds": 150})
        await visitor.button("Connect").click()
        talk = visitor.region("Conversation")
        await expect(talk).to_contain_text("1011")
        await expect(talk).to_contain_text("expired")
        await client.emulator("POST", "clock", {"reset": True})


async def test_a_failing_service_is_shown(visit: Visit, stack: Stack) -> None:
    """Where Gemini is away, the page says so and when to come back, and then it works."""
    async with visit() as visitor, caller(stack.layout) as client:
        await visitor.introduce_oneself()
        fault = {"status": 503, "retryAfter": "2", "count": 10}
        await client.emulator("POST", "faults/mint", fault)
        await visitor.button("Get a token").click()
        await expect(visitor.region("Token")).to_contain_text("UPSTREAM_UNAVAILABLE")
        await client.emulator("DELETE", "faults")
        await expect(visitor.button("Get a token")).to_have_attribute("aria-disabled", "false")


async def test_a_session_that_the_service_cannot_go_on_with(visit: Visit, stack: Stack) -> None:
    """A session that breaks off has its code shown, and the controls are back at the start."""
    async with visit() as visitor, caller(stack.layout) as client:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await client.emulator("POST", "faults/live", {"dropAfterMessages": 2, "count": 1})
        await visitor.connect()
        await visitor.page.get_by_label("Your message").fill("hello")
        await visitor.button("Send").click()
        await expect(visitor.region("Conversation")).to_contain_text("1006")
        await expect(visitor.button("Try this token again")).to_be_focused()


async def test_no_microphone(visit: Visit) -> None:
    """A visitor who lets nobody hear the microphone is told so, and can write."""
    async with visit() as visitor:
        await visitor.page.evaluate(NO_MICROPHONE)
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.connect()
        await visitor.button("Speak").click()
        await expect(visitor.region("Conversation")).to_contain_text("No microphone")
        await visitor.say("then in writing")


async def test_a_gateway_that_is_away(visit: Visit, stack: Stack) -> None:
    """Without a gateway the page says that there was no answer, and works when it is back."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await stack.stop("gateway")
        try:
            await visitor.button("Get a token").click()
            token = visitor.region("Token")
            await expect(token).to_contain_text("The gateway did not answer.")
        finally:
            gateway = [each for each in stack.layout.programs if each.name == "gateway"]
            await stack.launch(*gateway)
            await stack.until_ready(gateway, asyncio.Event())
        await visitor.get_token()
        await expect(token).not_to_contain_text("did not answer")
