"""The playground in a real browser, before a visitor: what they do, and what they see."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clean_visit import clean_visit
from client import TOKEN_PATH, new_user
from playwright.async_api import expect
from secrets_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chromium import Complaints
    from clean_visit import CleanVisit
    from playwright.async_api import Browser, Locator, Page, Request

    from stack.layout import Layout

FAKE_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_NOTE_WHAT_IS_PLAYED = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...given) {
  this.addEventListener("ended", () => window.played.push(this.buffer.duration));
  return start.apply(this, given);
};
"""


@dataclass
class Visitor:
    """One who has the page open, and a credential to use there."""

    visit: CleanVisit
    stack: Layout
    user: str = field(default_factory=new_user)
    token: str = field(default="", repr=False)

    @property
    def page(self) -> Page:
        """The page."""
        return self.visit.page

    @property
    def complaints(self) -> Complaints:
        """What its console has."""
        return self.visit.complaints

    @property
    def asked(self) -> list[Request]:
        """The requests that it made."""
        return self.visit.asked

    @property
    def bearer(self) -> str:
        """A good credential."""
        return self.stack.bearer(self.user, time.time())

    def button(self, name: str) -> Locator:
        """Find a button by what it is called."""
        return self.page.get_by_role("button", name=name, exact=True)

    def region(self, name: str) -> Locator:
        """Find a part of the page by its heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    @property
    def said(self) -> Locator:
        """What was said, turn by turn."""
        return self.page.get_by_role("list", name="What was said").get_by_role("listitem")

    @property
    def events(self) -> Locator:
        """What went over the socket."""
        return self.page.get_by_role("list", name="What the socket says").get_by_role("listitem")

    async def introduce_oneself(self, credential: str | None = None) -> None:
        """Enter a credential, and see that the gateway knows whose it is."""
        await self.enter(self.bearer if credential is None else credential)
        await expect(self.page.get_by_role("combobox", name="Model")).to_be_visible()
        await expect(self.page.get_by_role("meter")).to_have_count(3)

    async def enter(self, credential: str) -> None:
        """Enter a credential."""
        text = self.page.get_by_label("The credential itself")
        await text.fill(credential)
        await text.blur()

    async def answer_in(self, modality: str) -> None:
        """Choose how the model shall answer."""
        await self.page.get_by_role("radio", name=modality, exact=True).check()

    async def get_token(self) -> dict[str, Any]:
        """Get a token; return the gateway's answer."""
        async with self.page.expect_response(f"**{TOKEN_PATH}") as awaited:
            await self.button("Get a token").click()
        response = await awaited.value
        body: dict[str, Any] = await response.json()
        assert body["success"], body
        self.token = body["token"]
        WATCH.know("a token", self.token)
        await expect(self.page.get_by_role("timer")).to_have_count(2)
        return body

    async def connect(self) -> None:
        """Open a session with the token."""
        await self.button("Connect").click()
        await expect(
            self.region("Conversation").get_by_text("Connected", exact=True)
        ).to_be_visible()

    async def say(self, text: str) -> None:
        """Write something to the model, and see its answer."""
        turns = await self.said.count()
        await self.page.get_by_label("Your message").fill(text)
        await self.button("Send").click()
        await expect(self.said).to_have_count(turns + 2)
        await expect(self.said.last).to_contain_text(f"You said: {text}")


@asynccontextmanager
async def visiting(browser: Browser, stack: Layout, **context: Any) -> AsyncIterator[Visitor]:
    """Open the page, in a browser that knows nothing yet, and see in the end that all is clean."""
    async with clean_visit(
        browser,
        f"{stack.gateway_url}/",
        stack.live_url,
        scripts=(_NOTE_WHAT_IS_PLAYED,),
        **context,
    ) as visit:
        visitor = Visitor(visit, stack)
        await expect(visitor.button("Connect")).to_have_attribute("aria-disabled", "true")
        yield visitor
