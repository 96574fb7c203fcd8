"""Where identities are kept: rows that the store cannot read, each change atomic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ROWS = 10_000
"""Of a table: each replica holds all, and reads all after a change."""


class UnsafeRows(StoreUnavailable):
    """The store cannot be relied on, and somebody must see to it."""


class TooManyRows(StoreUnavailable):
    """The table has as many rows as it may have."""


@dataclass(frozen=True, slots=True)
class Version:
    """Tells one content of a store from any other."""

    epoch: bytes = b""
    """Which store it is: chosen with its first row. None: it has never had one."""
    change: bytes = b""
    """Another after each change. Not a number: that of a replica which lags behind
    could become that of other content."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a store keeps, at one moment."""

    version: Version = field(default_factory=Version)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    denials: Mapping[str, bytes] = field(default_factory=dict)


class Rows(Protocol):
    """Keeps rows by table and name. Every method raises StoreUnavailable if it cannot.

    It raises UnsafeRows where the rows were sealed under another key than ours.
    """

    async def version(self) -> Version:
        """Read which content it is: cheap."""
        ...

    async def read(self) -> Content:
        """Read all rows, as they were at one moment."""
        ...

    async def change(
        self, table: str, name: str, before: bytes | None, after: bytes | None
    ) -> bool:
        """Put `after` where `before` is, None being no row; return whether it was there.

        Raises:
            TooManyRows: A new row would be one too many.

        """
        ...


def another_key(remedy: str) -> UnsafeRows:
    """Return what to say of a store whose rows were sealed under another key."""
    return UnsafeRows(
        "the store holds what was sealed under another TOKENSERVICE_HASH_KEY: "
        f"use that key, or {remedy}"
    )
