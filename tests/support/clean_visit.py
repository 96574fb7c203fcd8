"""A visit to a page that leaves nothing behind: no complaint, nothing stored, nobody else asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chromium import Complaints
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, Request

expect.set_options(timeout=20_000)  # milliseconds: other tests run beside

_STORED = """async () => [
  localStorage.length, sessionStorage.length, document.cookie,
  history.state, location.href,
  (await indexedDB.databases()).length, (await caches.keys()).length,
]"""


@dataclass
class CleanVisit:
    """An open page, and what it did."""

    page: Page
    complaints: Complaints
    asked: list[Request] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    """The origins that the page had requests and sockets to."""

    async def stored(self) -> list[Any]:
        """Return what the browser keeps for the page."""
        kept: list[Any] = await self.page.evaluate(_STORED)
        return kept


@asynccontextmanager
async def clean_visit(
    browser: Browser, url: str, *others: str, scripts: tuple[str, ...] = (), **context: Any
) -> AsyncIterator[CleanVisit]:
    """Open a page, in a browser that knows nothing yet, and see in the end that all is clean.

    Clean is: no complaint of the browser's, nothing stored, nobody reached but the page's
    own origin and `others`. `scripts` run in it before its own.
    """
    opened = await browser.new_context(
        permissions=["clipboard-read", "clipboard-write", "microphone"], **context
    )
    try:
        page = await opened.new_page()
        for script in scripts:
            await page.add_init_script(script)
        visit = CleanVisit(page, await Complaints.of(page))
        page.on("request", lambda request: visit.asked.append(request))  # noqa: PLW0108 - no builtins
        page.on("request", lambda request: visit.reached.add(_origin(request.url)))
        page.on("websocket", lambda socket: visit.reached.add(_origin(socket.url)))
        await page.goto(url)
        yield visit
        assert visit.complaints.errors == []
        assert visit.complaints.warnings == []
        assert visit.reached <= {_origin(url), *others}
        assert await visit.stored() == [0, 0, "", None, url, 0, 0]
    finally:
        await opened.close()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
