"""How long there is left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the event loop's clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is `seconds` away."""
        return cls(asyncio.get_running_loop().time() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    def earlier(self, seconds: float) -> Deadline:
        """Return the deadline that leaves `seconds` for what comes after."""
        return Deadline(self.at - seconds)
