"""Where accounts, tries and standings live: one small interface, each operation atomic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.account import Sealed
    from policy.decisions import (
        Answer,
        Attempt,
        CommitOutcome,
        Inspection,
        ListedBlock,
        Observation,
        Release,
        Stats,
        Usage,
    )
    from policy.limits import Limits
    from policy.rules import Rule
    from policy.standing import Block, Blocking, Offender, Standing
    from policy.tries import Memory, TryKind


class Store(Protocol):
    """Keeps what policy knows. Every method raises StoreUnavailable if it cannot.

    Users, addresses and offenders are named by pseudonyms. Time is the store's own.
    """

    async def reserve(
        self,
        attempt: Attempt,
        fingerprint: bytes,
        count: int,
        limits: Limits,
        *,
        address: str | None,
        memory: Memory,
    ) -> Answer:
        """Charge `count` tokens, all or none, unless the user or the address is blocked.

        Repeating an attempt changes nothing. One that is refused or repeated is
        remembered as a try. `fingerprint` is 4 bytes.
        """
        ...

    async def commit(
        self, attempt: Attempt, count: int, expires: int, sealed: Sealed, limits: Limits
    ) -> CommitOutcome:
        """Make `count` of what was reserved final; the rest of it is given back."""
        ...

    async def release(self, attempt: Attempt, limits: Limits, *, ambiguous: bool) -> Release:
        """Give a pending charge back, once."""
        ...

    async def usage(self, user: str, limits: Limits) -> Usage:
        """Read a user's usage. Changes nothing."""
        ...

    async def observe(
        self, user: str, kind: TryKind, fingerprint: bytes, memory: Memory
    ) -> Observation:
        """Remember a try that ended before a reservation."""
        ...

    async def offend(
        self, offender: Offender, rule: Rule, blocking: Blocking, *, evidence: bytes = b""
    ) -> Standing:
        """Count a violation, which may block; return how the offender stands now.

        `evidence` is 4 bytes, or none: the same again, of the same rule, counts once.
        """
        ...

    async def inspect(self, user: str, address: str | None) -> Inspection:
        """Read all that is known of a user and how an address stands. Changes nothing."""
        ...

    async def block(self, offender: Offender, *, until: int, reason: str, actor: str) -> Block:
        """Block until a time, whatever was before."""
        ...

    async def lift(self, offender: Offender) -> bool:
        """Forget an offender's violations and block; return whether there was a block."""
        ...

    async def blocks(self, *, offset: int, count: int) -> Sequence[ListedBlock]:
        """Return blocks in force, those that end last first."""
        ...

    async def forget(self, user: str) -> None:
        """Forget all that is known of a user."""
        ...

    async def stats(self) -> Stats:
        """Read the numbers of all users together. Not for the hot path."""
        ...

    async def check(self) -> None:
        """Return if the store can decide now."""
        ...
