"""The JavaScript client in Chromium, on a page of another origin than the gateway's."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from chromium import Complaints, chromium
from client import new_user
from layouts import laid_out
from playwright.async_api import Browser, Page, expect
from web_origins import Counting, counting, pages

from stack.layout import Layout
from stack.supervisor import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

_BUSY_MS = 60_000  # the machine may have other tests to run
_TALK = """
async ({ gateway, live, bearer }) => {
  const { LiveTokens, connect } = await import("live-token-client");
  const { GoogleGenAI } = await import("@google/genai");
  const tokens = new LiveTokens({ baseUrl: gateway, credential: bearer });
  const token = await tokens.get({ duration: 10 });
  const said = [];
  let done;
  const answered = new Promise((resolve) => (done = resolve));
  const callbacks = {
    onmessage({ serverContent = {} }) {
      said.push(...(serverContent.modelTurn?.parts ?? []).map(({ text }) => text));
      if (serverContent.turnComplete) done();
    },
  };
  const session = await connect(GoogleGenAI, token, { callbacks }, { baseUrl: live });
  session.sendClientContent({ turns: "hello" });
  await answered;
  session.close();
  return {
    said: said.join(""),
    requestId: token.requestId,
    shown: JSON.stringify(token) + String(token),
    opensFor: token.sessionStartWindow - Date.now(),
    kept: [localStorage.length, sessionStorage.length, document.cookie, location.href],
  };
}
"""
_REUSE = """
async ({ gateway, live, bearer }) => {
  const { LiveTokens, connect } = await import("live-token-client");
  const { GoogleGenAI } = await import("@google/genai");
  const tokens = new LiveTokens({ baseUrl: gateway, credential: bearer });
  const one = { idempotencyKey: "one" };
  const [first, second] = [await tokens.requestToken({}, one), await tokens.requestToken({}, one)];
  const params = { callbacks: { onmessage() {} } };
  const session = await connect(GoogleGenAI, first, params, { baseUrl: live });
  session.close();
  const again = connect(GoogleGenAI, second, params, { baseUrl: live });
  const { name, code, reason } = await again.catch((error) => error);
  return { name, code, reason };
}
"""
_REFUSED = """
async ({ gateway, bearer }) => {
  const { LiveTokens } = await import("live-token-client");
  const tokens = new LiveTokens({ baseUrl: gateway, credential: bearer });
  const failures = [];
  for (const ask of [() => tokens.get(), () => tokens.get()]) {
    failures.push(await ask().then(() => ({}), (error) => error));
  }
  return failures.map(({ name, code, status, limit, retryAfter, requestId }) => {
    return { name, code, status, limit, retryAfter, requestId };
  });
}
"""
_WRONG_CLOCK = """
async ({ gateway, bearer }) => {
  const { LiveTokens } = await import("live-token-client");
  const clock = {
    now: () => Date.now() - 3_600_000,
    setTimeout: (...timer) => setTimeout(...timer),
    clearTimeout: (timer) => clearTimeout(timer),
  };
  const tokens = new LiveTokens({ baseUrl: gateway, credential: bearer, clock });
  return (await tokens.get()).opensForMs() / 1000;
}
"""
_API_KEY = """
async ({ gateway }) => {
  const { LiveTokens } = await import("live-token-client");
  const headers = () => ({ traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` });
  const tokens = new LiveTokens({ baseUrl: gateway, credential: { apiKey: "none" }, headers });
  const { code, status, requestId } = await tokens.usage().catch((error) => error);
  return { code, status, found: Boolean(requestId) };
}
"""
_OWN_PAGE = """
async ({ bearer }) => {
  const { LiveTokens } = await import("/live-token-client/index.js");
  const tokens = new LiveTokens({ credential: bearer });
  const { model } = await tokens.get();
  return [model, (await tokens.usage()).tokensLastHour, (await tokens.config()).defaultModel];
}
"""


@dataclass(frozen=True)
class Web:
    """Who is there: the stack, one that counts before its gateway, and two origins of pages."""

    layout: Layout
    gateway: Counting
    browser: Browser
    allowed: str
    refused: str

    def asked(self, user: str) -> dict[str, str]:
        """Return what a script needs to know."""
        return {
            "gateway": self.gateway.origin,
            "live": self.layout.emulator_url,
            "bearer": self.layout.bearer(user, time.time()),
        }

    @asynccontextmanager
    async def page(
        self, origin: str, path: str = "/browser.html"
    ) -> AsyncIterator[tuple[Page, Complaints]]:
        """Open a page of `origin`, in a profile of its own."""
        context = await self.browser.new_context()
        try:
            page = await context.new_page()
            complaints = await Complaints.of(page)
            await page.goto(origin + path)
            self.gateway.seen.clear()
            yield page, complaints
        finally:
            await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web() -> AsyncIterator[Web]:
    """Run all of it for this module; its tests use users of their own."""
    async with AsyncExitStack() as opened:
        allowed = await opened.enter_async_context(pages())
        refused = await opened.enter_async_context(pages())
        layout = opened.enter_context(laid_out(GATEWAY_CORS_ORIGINS=allowed))
        await opened.enter_async_context(running(layout))
        gateway = await opened.enter_async_context(counting(layout.gateway_url))
        browser = await opened.enter_async_context(chromium())
        yield Web(layout, gateway, browser, allowed, refused)


async def test_a_page_of_an_allowed_origin_talks(web: Web) -> None:
    """With a token got over CORS, the official SDK's web build talks; nothing is stored."""
    async with web.page(web.allowed) as (page, complaints):
        told: dict[str, Any] = await page.evaluate(_TALK, web.asked(new_user()))
    assert told["said"] == "You said: hello"
    assert told["requestId"]
    assert "auth_tokens/" not in told["shown"]
    assert 60_000 < told["opensFor"] <= 121_000
    assert told["kept"] == [0, 0, "", f"{web.allowed}/browser.html"]
    assert "auth_tokens/" not in "".join(complaints.warnings)
    assert complaints.errors == []
    assert complaints.failed_loads == []


async def test_the_gateways_own_page_has_the_client(web: Web) -> None:
    """Under the gateway's own policy a page imports the client from it, and need not say where."""
    async with web.page(web.layout.gateway_url, "/") as (page, complaints):
        told = await page.evaluate(_OWN_PAGE, web.asked(new_user()))
    assert told == ["gemini-3.8-live", 1, "gemini-3.8-live"]
    assert complaints.errors == []
    assert complaints.failed_loads == []


async def test_the_example_page_asks_a_question(web: Web) -> None:
    """The example shows the model's answer, and in the cooldown when to try again."""
    asked = web.asked(new_user())
    async with web.page(web.allowed) as (page, complaints):
        for label, name in (("Gateway", "gateway"), ("Live API", "live"), ("Your JWT", "bearer")):
            await page.get_by_label(label).fill(asked[name])
        await page.get_by_label("Question").fill("Are you there?")
        status = page.get_by_role("status")
        await page.get_by_role("button", name="Ask").click()
        await expect(status).to_have_text("You said: Are you there?", timeout=_BUSY_MS)
        await page.get_by_role("button", name="Ask").click()
        await expect(status).to_contain_text("; try again in ", timeout=_BUSY_MS)
    assert complaints.errors == []


async def test_the_sockets_refusal_is_told(web: Web) -> None:
    """A token used elsewhere is refused in the server's words; two requests need one preflight."""
    async with web.page(web.allowed) as (page, _):
        told = await page.evaluate(_REUSE, web.asked(new_user()))
    assert told == {
        "name": "LiveConnectError",
        "code": 1011,
        "reason": "Token has been used too many times",
    }
    assert web.gateway.count("POST") == 2
    assert web.gateway.count("OPTIONS") == 1


async def test_a_refusal_is_readable_across_origins(web: Web) -> None:
    """In the cooldown a page reads the code, the wait and the request id, and asks only once."""
    user = new_user()
    async with web.page(web.allowed) as (page, _):
        await page.evaluate(_WRONG_CLOCK, web.asked(user))
        first, second = await page.evaluate(_REFUSED, web.asked(user))
    assert first["code"] == "RATE_LIMIT_EXCEEDED"
    assert (first["status"], first["limit"]) == (429, "cooldown")
    assert 240 < second["retryAfter"] <= first["retryAfter"] <= 300
    assert first["requestId"] == second["requestId"]
    assert web.gateway.count("POST") == 2


async def test_api_keys_and_traces_cross_origins(web: Web) -> None:
    """The preflight allows X-API-Key and traceparent, and a page can read what 401 says."""
    async with web.page(web.allowed) as (page, _):
        told = await page.evaluate(_API_KEY, web.asked(new_user()))
    assert told == {"code": "UNAUTHENTICATED", "status": 401, "found": True}


async def test_a_wrong_clock_does_not_matter(web: Web) -> None:
    """A page reads the server's time across origins, so a clock an hour late harms nothing."""
    async with web.page(web.allowed) as (page, _):
        seconds = await page.evaluate(_WRONG_CLOCK, web.asked(new_user()))
    assert 60 < seconds <= 122


async def test_a_page_of_another_origin_is_refused(web: Web) -> None:
    """A page of no allowed origin gets NETWORK, and the gateway answers it as it does any."""
    async with web.page(web.refused) as (page, complaints):
        first, _ = await page.evaluate(_REFUSED, web.asked(new_user()))
    assert first["name"] == "LiveTokenError"
    assert (first["code"], first["status"]) == ("NETWORK", 0)
    assert all("CORS" in complaint for complaint in complaints.errors)
    assert web.gateway.seen
    assert web.gateway.count("POST") == 0
    assert all(status < 500 for _, status in web.gateway.seen)
