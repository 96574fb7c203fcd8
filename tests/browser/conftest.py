"""A browser, and a stack for it, for each test module."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from chromium import chromium
from playground import FAKE_MICROPHONE, Visitor, layout, visiting
from playwright.async_api import Browser

from stack.supervisor import Stack, running


class Visit(Protocol):
    """Opens the page for a visitor, with a browser context as it is wanted."""

    def __call__(self, **context: Any) -> AbstractAsyncContextManager[Visitor]:
        """Open it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Run a browser whose microphone beeps, and whose user lets everybody hear it."""
    async with chromium(*FAKE_MICROPHONE) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(browser: Browser) -> AsyncIterator[Stack]:  # noqa: ARG001 - none without one
    """Run the stack for this module; its visitors are users of their own."""
    directory = tempfile.mkdtemp(prefix="live-")  # short: Unix sockets are in it
    try:
        async with running(layout(Path(directory), os.environ)) as stack:
            yield stack
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Visit:
    """Return what opens the page."""
    return lambda **context: visiting(browser, stack.layout, **context)
