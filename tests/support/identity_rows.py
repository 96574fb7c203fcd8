"""Identities in memory, which behave as those in a store do; and those of a store of a test's."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from serving.stores import StoreUnavailable
from tokenservice.identity.directory import Directory
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.registry import Registry
from tokenservice.identity.rows import MOST_ROWS, Content, TooManyRows, Version, another_key

NOW = 1_767_225_600_000
HASH_KEY = b"a key to hash with, of the tests, long enough"


@dataclass
class StillClock:
    """Tells the same time until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)


@dataclass
class Shelf:
    """What several MemoryRows share, as processes share a server."""

    tables: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"keys": {}, "denials": {}})
    names: bytes | None = None
    version: Version = field(default_factory=Version)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def flush(self) -> None:
        """Lose everything, as a server does that restarts without its data."""
        self.tables, self.names, self.version = {"keys": {}, "denials": {}}, None, Version()


class MemoryRows:
    """Rows in memory."""

    def __init__(
        self, shelf: Shelf | None = None, *, names: bytes = b"names", most: int = MOST_ROWS
    ) -> None:
        self.shelf = shelf or Shelf()
        self._names, self._most = names, most
        self.why_away = ""
        self.reads = 0

    async def version(self) -> Version:
        """See Rows."""
        self._ensure_there()
        return self.shelf.version

    async def read(self) -> Content:
        """See Rows."""
        self._ensure_there()
        self.reads += 1
        tables = self.shelf.tables
        return Content(self.shelf.version, dict(tables["keys"]), dict(tables["denials"]))

    async def change(
        self, table: str, name: str, before: bytes | None, after: bytes | None
    ) -> bool:
        """See Rows."""
        self._ensure_there()
        rows = self.shelf.tables[table]
        if rows.get(name) != before:
            return False
        if before is None and after is not None and len(rows) >= self._most:
            raise TooManyRows(f"there are {len(rows)} already")
        if after is None:
            rows.pop(name, None)
        else:
            rows[name] = after
        number = b"%d" % next(self.shelf.numbers)
        self.shelf.version = Version(self.shelf.version.epoch or number, number)
        self.shelf.names = self._names
        return True

    def _ensure_there(self) -> None:
        if self.why_away:
            raise StoreUnavailable(self.why_away)
        if self.shelf.names not in {None, self._names}:
            raise another_key("another shelf")


@dataclass
class Office:
    """An operator's registry, and the rows and the clock that it shares with the replicas."""

    clock: StillClock = field(default_factory=StillClock)
    keyring: Keyring = field(default_factory=lambda: Keyring(HASH_KEY))
    rows: MemoryRows = field(default_factory=MemoryRows)

    @property
    def registry(self) -> Registry:
        """What an operator's command changes the store with."""
        return Registry(self.rows, self.keyring, self.clock)

    def replica(self) -> tuple[Directory, MemoryRows]:
        """Return a replica's directory, and its own way to the store."""
        rows = MemoryRows(self.rows.shelf)
        return Directory(rows, self.keyring, self.clock, stale_seconds=60), rows

    async def key(self, owner: str = "ann", *, days: float = 90, **more: str | bool) -> str:
        """Make a key, and return its text."""
        given: dict[str, object] = {"lifetime_ms": round(days * 86_400_000), "actor": "op", **more}
        text, _ = await self.registry.create_key(owner, **given)  # type: ignore[arg-type]
        return text
