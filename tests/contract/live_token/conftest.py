"""The whole chain behind real HTTP, its time the test's own."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from live_token import Chain, live_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from identity_rows import StillClock


class Launch(Protocol):
    """Starts a chain that ends with the test."""

    async def __call__(
        self,
        rules: Mapping[str, Any] | None = None,
        *,
        clock: StillClock | None = None,
        **variables: str,
    ) -> Chain:
        """Start one, with what an operator sets."""


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncIterator[Launch]:
    """Return what starts a chain, each in a directory of its own."""
    numbers = itertools.count()
    async with AsyncExitStack() as stack:

        async def launch(
            rules: Mapping[str, Any] | None = None,
            *,
            clock: StillClock | None = None,
            **variables: str,
        ) -> Chain:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            return await stack.enter_async_context(
                live_token(directory, rules, clock=clock, **variables)
            )

        yield launch


@pytest.fixture
async def chain(launch: Launch) -> Chain:
    """Run a chain with everything at its default."""
    return await launch()


@pytest.fixture
async def keyed(launch: Launch, tmp_path: Path) -> Chain:
    """Run one that has a store of API keys."""
    return await launch(TOKENSERVICE_STORE_URL=f"sqlite:{tmp_path}/keys.db")


@pytest.fixture
async def quick(launch: Launch) -> Chain:
    """Run one that lets a user come again at once, and again."""
    return await launch(
        LIVE_API_COOLDOWN_PERIOD_MINUTES="0",
        LIVE_API_MAX_TOKENS_PER_HOUR="1000",
        LIVE_API_MAX_TOKENS_PER_DAY="1000",
    )
