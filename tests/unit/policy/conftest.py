"""A clock that moves when told, and names for attempts."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from policy.decisions import Attempt

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@dataclass
class StillClock:
    """Tells the same time until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def attempt_at() -> Callable[..., Attempt]:
    """Return a function that makes an attempt, by default at a new request."""
    numbers = itertools.count()

    def attempt(request: bytes = b"", owner: bytes = b"", user: str = "ann") -> Attempt:
        number = next(numbers)
        return Attempt(user, request or b"request %d" % number, owner or b"owner %d" % number)

    return attempt
