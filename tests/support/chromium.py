"""A real Chromium, and a watch over what it says of the pages that it shows."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright
from secrets_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ConsoleMessage, Error, Page

_CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = (
    "--no-sandbox",  # CI is root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Chromium writes that a policy was violated to the console in words that change.
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP violation: ${event.effectiveDirective} of ${event.blockedURI}`);
});
"""
_FAILED_LOAD = "Failed to load resource"


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Run Chromium, with more `flags` than it needs anyway, for the length of the block."""
    _need_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=_CHROMIUM, args=[*_FLAGS, *flags]
        )
        try:
            yield browser
        finally:
            await browser.close()


def _need_chromium() -> None:
    if not _CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {_CHROMIUM}")
        pytest.skip(f"there is no {_CHROMIUM}; CI has it")


@dataclass
class Complaints:
    """What a page's console has: all of it is searched for secrets too.

    `failed_loads` is apart: Chromium writes an error for each answer that is no
    success, also where a page asked for it and says so.
    """

    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Errors, exceptions that nothing caught, and violations of the page's CSP."""
    failed_loads: list[str] = field(default_factory=list)

    @classmethod
    async def of(cls, page: Page) -> Complaints:
        """Listen to a page, which has not been opened yet."""
        complaints = cls()
        page.on("console", complaints._console)
        page.on("pageerror", complaints._exception)
        await page.add_init_script(_REPORT_VIOLATIONS)
        return complaints

    def _console(self, message: ConsoleMessage) -> None:
        WATCH.look("the console of a page", message.text)
        if message.text.startswith(_FAILED_LOAD):
            self.failed_loads.append(message.text)
        elif message.type == "error":
            self.errors.append(message.text)
        elif message.type == "warning":
            self.warnings.append(message.text)

    def _exception(self, error: Error) -> None:
        WATCH.look("an exception in a page", str(error))
        self.errors.append(str(error))
