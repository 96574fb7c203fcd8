"""A browser, and a stack for it, for each test module."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from chromium import chromium
from layouts import laid_out
from ops_page import Operator, operating
from ops_service import FakeOperations, watched
from playground import FAKE_MICROPHONE, Visitor, visiting
from playwright.async_api import Browser
from servers_process import free_port
from servers_proxy import Proxy, hole

from stack.supervisor import Stack, running


class Visit(Protocol):
    """Opens the page for a visitor, with a browser context as it is wanted."""

    def __call__(self, **context: Any) -> AbstractAsyncContextManager[Visitor]:
        """Open it."""


class Operate(Protocol):
    """Opens the operations page, with a browser context as it is wanted."""

    def __call__(self, **context: Any) -> AbstractAsyncContextManager[Operator]:
        """Open it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Run a browser whose microphone beeps, and whose user lets everybody hear it."""
    async with chromium(*FAKE_MICROPHONE) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(browser: Browser) -> AsyncIterator[Stack]:  # noqa: ARG001 - none without one
    """Run the stack for this module; its visitors are users of their own."""
    port = free_port()  # that nobody takes while the gateway is away
    with laid_out(GATEWAY_PORT=str(port)) as layout:
        async with running(layout) as stack:
            yield stack


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Visit:
    """Return what opens the page."""
    return lambda **context: visiting(browser, stack.layout, **context)


@pytest.fixture
def service() -> FakeOperations:
    """Return a service that operators watch."""
    return FakeOperations()


@pytest_asyncio.fixture(loop_scope="module")
async def way(service: FakeOperations, tmp_path: Path) -> AsyncIterator[Proxy]:
    """Serve it through a gateway, and return the way to that, which can be cut."""
    async with watched(service, tmp_path) as port, hole(("127.0.0.1", port)) as way:
        yield way


@pytest.fixture
def operate(browser: Browser, way: Proxy) -> Operate:
    """Return what opens the operations page."""
    return lambda **context: operating(browser, f"http://127.0.0.1:{way.port}", **context)
