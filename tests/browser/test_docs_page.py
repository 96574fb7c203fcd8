"""The reference page in a real browser: it shows the API, and lets it be tried."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from chromium import Complaints
from client import TOKEN_PATH, new_user
from playwright.async_api import Browser, Locator, Page, Request, expect
from secrets_watch import WATCH

from stack.layout import Layout
from stack.supervisor import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATIONS = [
    "POST /api/v1/live-token",
    "GET /api/v1/live-token/usage",
    "GET /api/v1/live-token/health",
    "GET /api/v1/live-token/config",
    "GET /api/v1/live-token/stats",
]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 780}},
}


@asynccontextmanager
async def reading(browser: Browser, layout: Layout, look: str = "light") -> AsyncIterator[Page]:
    """Open the page; see in the end that all was clean, and nobody else was asked."""
    context = await browser.new_context(**LOOKS[look])
    try:
        page = await context.new_page()
        complaints = await Complaints.of(page)
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - no builtins
        await page.goto(f"{layout.gateway_url}/docs")
        await expect(page.locator(".opblock").first).to_be_visible()
        yield page
        assert complaints.errors == []
        assert complaints.warnings == []
        own = urlsplit(layout.gateway_url).netloc
        assert {urlsplit(request.url).netloc for request in asked} == {own}
        kept = "[localStorage.length, sessionStorage.length, document.cookie]"
        assert await page.evaluate(kept) == [0, 0, ""]
    finally:
        await context.close()


def operation(page: Page, path: str) -> Locator:
    """Find an operation by its path."""
    text = page.locator(f'.opblock-summary-path[data-path="{path}"]')
    return page.locator(".opblock").filter(has=text)


@pytest.mark.parametrize("look", LOOKS)
async def test_every_operation_is_shown(browser: Browser, stack: Stack, look: str) -> None:
    """All five are there, on a small screen and in the dark too, and each can be opened."""
    async with reading(browser, stack.layout, look) as page:
        shown = page.locator(".opblock")
        await expect(shown).to_have_count(len(OPERATIONS))
        for wanted in OPERATIONS:
            method, _, path = wanted.partition(" ")
            block = operation(page, path)
            await expect(block.locator(".opblock-summary-method")).to_have_text(method)
            await block.locator(".opblock-summary-control").click()
            await expect(block.locator(".responses-table").first).to_be_visible()
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(width) == 0


async def test_examples_are_not_sent(browser: Browser, stack: Stack) -> None:
    """What documents a header is shown, and is nowhere filled in."""
    async with reading(browser, stack.layout) as page:
        block = operation(page, TOKEN_PATH)
        await block.locator(".opblock-summary-control").click()
        fields = block.locator(".parameters input[type=text]")
        await expect(fields.first).to_be_visible()
        for field in await fields.all():
            await expect(field).to_have_value("")
        await expect(block.locator(".parameters").get_by_text("order-7")).to_be_visible()


async def test_the_api_can_be_tried(browser: Browser, stack: Stack) -> None:
    """With a bearer token that is entered, a token is got; on a reload nothing is left of it."""
    async with reading(browser, stack.layout) as page:
        bearer = stack.layout.bearer(new_user(), time.time())
        await page.get_by_role("button", name="Authorize").click()
        dialog = page.locator(".auth-container").filter(has_text="bearer")
        await dialog.locator("input").fill(bearer)
        await dialog.get_by_role("button", name="Apply credentials").click()
        await page.locator(".close-modal").click()
        block = operation(page, TOKEN_PATH)
        await block.locator(".opblock-summary-control").click()
        async with page.expect_response(f"**{TOKEN_PATH}") as awaited:
            await block.locator("button.execute").click()
        response = await awaited.value
        body = await response.json()
        assert body["success"], body["code"]
        WATCH.know("a token", body["token"])
        assert set(await response.request.all_headers()) & {"idempotency-key", "dpop"} == set()
        live = block.locator(".live-responses-table")
        await expect(live.locator(".response-col_status").last).to_contain_text("200")
        await page.reload()
        async with page.expect_response(f"**{TOKEN_PATH}/usage") as awaited:
            usage = operation(page, f"{TOKEN_PATH}/usage")
            await usage.locator(".opblock-summary-control").click()
            await usage.locator("button.execute").click()
        assert (await awaited.value).status == 401


async def test_the_page_works_without_the_internet(browser: Browser, stack: Stack) -> None:
    """Its document and all that it loads come from the gateway."""
    async with reading(browser, stack.layout) as page:
        document = await page.evaluate("fetch('/openapi.json').then((answer) => answer.text())")
        assert json.loads(document)["openapi"].startswith("3.1")
        await expect(page.locator(".opblock")).to_have_count(len(OPERATIONS))
