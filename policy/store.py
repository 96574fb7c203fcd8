"""Where accounts live: one small interface, each operation atomic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.decisions import Attempt, CommitOutcome, Decision, Stats, Usage
    from policy.limits import Limits


class StoreUnavailable(Exception):
    """The store cannot answer, so there is no decision."""


class Store(Protocol):
    """Keeps users' charges. Every method raises StoreUnavailable if it cannot."""

    async def reserve(
        self, attempt: Attempt, fingerprint: bytes, count: int, limits: Limits
    ) -> Decision:
        """Charge `count` tokens, all or none. A repeat of an attempt changes nothing."""
        ...

    async def commit(
        self,
        attempt: Attempt,
        expires: Sequence[int],
        sealed_result: bytes,
        sealed_until: int,
        limits: Limits,
    ) -> CommitOutcome:
        """Make a charge final; what was reserved beyond `expires` is given back."""
        ...

    async def release(self, attempt: Attempt) -> bool:
        """Give a pending charge back; return whether there was one."""
        ...

    async def usage(self, user: str, limits: Limits) -> Usage:
        """Read a user's usage. Changes nothing."""
        ...

    async def stats(self) -> Stats:
        """Read the numbers of all users together."""
        ...
