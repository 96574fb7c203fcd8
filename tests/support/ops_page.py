"""The operations page in a real browser, before an operator: what they do, and what they see."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clean_visit import clean_visit
from ops_service import OPERATOR
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clean_visit import CleanVisit
    from playwright.async_api import Browser, Locator, Page

SECRETS = """() => [document.documentElement.outerHTML,
  ...[...document.querySelectorAll("input")].map((input) => input.value),
  location.href, document.title, window.name, JSON.stringify(history.state)]"""


@dataclass
class Operator:
    """One who has the page open."""

    visit: CleanVisit

    @property
    def page(self) -> Page:
        """The page."""
        return self.visit.page

    @property
    def state(self) -> Locator:
        """How it stands with the stream."""
        return self.page.locator("#state")

    @property
    def announced(self) -> Locator:
        """What is read aloud."""
        return self.page.get_by_role("status")

    @property
    def moment(self) -> Locator:
        """What reads the picture at a moment."""
        return self.page.get_by_role("slider", name="The moment that is read")

    @property
    def dialog(self) -> Locator:
        """What asks first."""
        return self.page.get_by_role("dialog", name="Lift this block?")

    def button(self, name: str) -> Locator:
        """Find a button by what it is called."""
        return self.page.get_by_role("button", name=name, exact=True)

    def region(self, name: str) -> Locator:
        """Find a part of the page by its heading."""
        return self.page.get_by_role("region", name=name)

    @property
    def blocks(self) -> Locator:
        """The blocks that are shown."""
        return self.page.locator("#blocks").get_by_role("listitem")

    async def count(self, series: str, count: int) -> None:
        """See that so many of a series are counted."""
        entry = self.page.locator("#traffic-legend").get_by_role("listitem")
        shown = entry.filter(has_text=series).locator(".count")
        await expect(shown).to_have_text(str(count))

    async def enter(self, credential: str) -> None:
        """Enter a credential."""
        text = self.page.get_by_label("The credential itself")
        await text.fill(credential)
        await text.press("Enter")

    async def watch(self) -> None:
        """Enter a good credential, and see that it is live."""
        await self.enter(OPERATOR)
        await expect(self.state).to_have_text("Live")
        await expect(self.page.get_by_text("Counted since").or_(self.no_one)).to_be_visible()

    @property
    def no_one(self) -> Locator:
        """What is said where nobody was refused."""
        return self.page.get_by_text("Nobody was refused since")

    async def stop_the_clock(self) -> None:
        """Let time pass in the page only where the test says so."""
        await self.page.clock.install()
        now = await self.page.evaluate("Date.now() / 1000")
        await self.page.clock.pause_at(now + 1)

    async def pass_time(self, milliseconds: int) -> None:
        """Let time pass, and the page do what is due."""
        await self.page.clock.run_for(milliseconds)

    async def ask_to_lift(self, index: int = 0) -> None:
        """Open the question about a block."""
        await self.blocks.nth(index).get_by_role("button").click()
        await expect(self.dialog).to_be_visible()

    async def confirm(self, reason: str = "a mistake of ours") -> None:
        """Lift the block that is asked about."""
        await self.dialog.get_by_label("Your reason").fill(reason)
        await self.dialog.get_by_role("button", name="Lift the block").click()

    def requests(self, end: str = "") -> int:
        """Return how many requests to the API there were, to a path that ends so."""
        urls = [each.url.partition("?")[0] for each in self.visit.asked]
        return sum("/api/" in url and url.endswith(end) for url in urls)


@asynccontextmanager
async def operating(browser: Browser, origin: str, **context: Any) -> AsyncIterator[Operator]:
    """Open the page; see in the end that all was clean."""
    async with clean_visit(browser, f"{origin}/ops", **context) as visit:
        operator = Operator(visit)
        await expect(operator.state).to_have_text("Not watching")
        yield operator
