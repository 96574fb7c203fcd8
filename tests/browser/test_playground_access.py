"""The playground for everybody: by keyboard, on a phone, in the dark, and read aloud."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from access import LOOKS, is_accessible, tab_to
from playground import Visitor
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.mark.parametrize("look", LOOKS)
async def test_there_is_no_obstacle_in_any_state(visit: Visit, look: str) -> None:
    """Axe finds nothing, nothing is cut off, and fingers hit, from the first sight to refusals."""
    async with visit(**LOOKS[look]) as visitor:
        await is_accessible(visitor.page)
        await visitor.introduce_oneself()
        await visitor.answer_in("Audio")
        await visitor.get_token()
        await is_accessible(visitor.page)
        await visitor.connect()
        await visitor.say("hello")
        await visitor.button("Speak").click()
        await expect(visitor.button("Stop speaking")).to_be_visible()
        for entry in await visitor.events.get_by_role("group").all():
            await entry.click()
        await is_accessible(visitor.page)
        await visitor.button("Disconnect").click()
        await visitor.button("Try this token again").click()
        await expect(visitor.region("Conversation")).to_contain_text("1011")
        await visitor.button("Get a token").click()
        await visitor.region("Token").get_by_text("Details").click()
        await is_accessible(visitor.page)
        await visitor.page.get_by_label("The credential itself").fill("ключ")
        await visitor.page.get_by_label("The credential itself").blur()
        await expect(visitor.page.locator("main")).to_contain_text(
            "no text that a header can carry"
        )
        await is_accessible(visitor.page)


async def test_a_time_is_read_in_one_piece(visit: Visit) -> None:
    """On the narrowest of phones, or in a page enlarged four times, as on any other."""
    async with visit(viewport={"width": 320, "height": 568}) as visitor:
        await visitor.introduce_oneself()
        await visitor.get_token()
        shown = "parts => parts.map(part => part.textContent)"
        lines = """timers => timers.map(timer => {
          const text = document.createRange();
          text.selectNodeContents(timer);
          return text.getClientRects().length;
        })"""
        timers = visitor.page.get_by_role("timer")
        assert await timers.evaluate_all(lines) == [1, 1], await timers.evaluate_all(shown)
        await is_accessible(visitor.page)


async def test_the_keyboard_is_enough(visit: Visit) -> None:
    """By Tab, arrows and Enter alone one gets a token, connects and talks; the focus is seen."""
    async with visit() as visitor:
        page = visitor.page
        press = page.keyboard.press
        await tab_to(page, "credential")
        await page.keyboard.insert_text(visitor.bearer)
        await press("Tab")
        await expect(page.get_by_role("combobox", name="Model")).to_be_focused()
        await tab_to(page, "INPUT")  # the first choice of three, which has no name
        await tab_to(page, "TEXT", by="ArrowRight")
        await tab_to(page, "get-token")
        await press("Enter")
        await expect(page.get_by_role("timer")).to_have_count(2)
        await tab_to(page, "connect")
        await press("Enter")
        await expect(page.get_by_label("Your message")).to_be_focused()
        await page.keyboard.type("hello")
        await press("Enter")
        await expect(visitor.said.last).to_contain_text("You said: hello")
        await tab_to(page, "connect", by="Shift+Tab")
        await press("Enter")
        await expect(visitor.button("Try this token again")).to_be_focused()


async def test_results_are_read_aloud_but_not_every_second(visit: Visit) -> None:
    """One polite region has each result in a sentence; countdowns are outside of it."""
    async with visit() as visitor:
        page = visitor.page
        status = page.get_by_role("status")
        await expect(
            page.locator("[aria-live], [role=status], [role=alert], [role=log]")
        ).to_have_count(1)
        await visitor.introduce_oneself()
        await expect(status).to_have_text("Accepted.")
        await visitor.get_token()
        await expect(status).to_have_text("You have a token. Connect to talk with the model.")
        await visitor.connect()
        await expect(status).to_have_text("Connected.")
        await visitor.say("hello")
        await expect(status).to_have_text("The model: You said: hello")
        await visitor.button("Disconnect").click()
        await expect(status).to_have_text("Disconnected.")
        await visitor.button("Try this token again").click()
        await expect(status).to_have_text("Closed with 1011: Token has been used too many times")
