"""Rows in a file of SQLite's, for the processes of one machine."""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import structlog

from serving import store_calls
from serving.log_areas import debugging
from serving.stores import StoreUnavailable
from tokenservice.identity.records import DENIALS, KEYS
from tokenservice.identity.rows import (
    MOST_ROWS,
    Content,
    TooManyRows,
    UnsafeRows,
    Version,
    another_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

T = TypeVar("T")

# At once: who finds one table must find the other.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS held (
    "table" TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY ("table", name)
) STRICT;
COMMIT;
"""
_OTHERS = 0o077


class SqliteRows:
    """Keeps rows in one file, mode 0600.

    Each call opens the file anew, off the event loop: one that was put in its
    place is seen, and no connection wanders between threads. There is one
    thread, so a disk that hangs holds up no more than one.
    """

    def __init__(self, path: Path, *, names: bytes, timeout_ms: int, most: int = MOST_ROWS) -> None:
        """Keep rows in the file at `path`, made with its directory by the first row.

        `names` is the fingerprint of the key that they are sealed under. No call
        takes longer than `timeout_ms`; no table has more than `most` rows.
        """
        self._path, self._names, self._most = path, names, most
        self._seconds = timeout_ms / 1000
        self._thread = ThreadPoolExecutor(1, "identity-store")

    async def version(self) -> Version:
        """See Rows."""
        return await self._within("identity_version", self._version)

    async def read(self) -> Content:
        """See Rows."""
        return await self._within("identity_read", self._read)

    async def change(
        self, table: str, name: str, before: bytes | None, after: bytes | None
    ) -> bool:
        """See Rows."""
        return await self._within(
            "identity_change", lambda: self._change(table, name, before, after)
        )

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False)

    async def _within(self, operation: str, work: Callable[[], T]) -> T:
        with store_calls.called(store_calls.SQLITE, operation):
            return await self._in_time(work)

    async def _in_time(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                started = time.perf_counter()
                found = await asyncio.get_running_loop().run_in_executor(self._thread, work)
                if debugging(__name__):
                    taken = round((time.perf_counter() - started) * 1000, 3)
                    log.debug("transaction", duration_ms=taken)
                return found
        except sqlite3.Error as error:
            told = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StoreUnavailable(f"the store failed: {told}") from error
        except OSError as error:  # TimeoutError is one
            raise StoreUnavailable(f"the store failed: {error.strerror or 'time-out'}") from error

    def _version(self) -> Version:
        if not self._path.exists():
            return Version()
        with self._opened("DEFERRED") as database:
            return self._meta(database)

    def _read(self) -> Content:
        if not self._path.exists():
            return Content()
        with self._opened("DEFERRED") as database:
            rows = database.execute('SELECT "table", name, value FROM held').fetchall()
            tables: dict[str, dict[str, bytes]] = {KEYS: {}, DENIALS: {}}
            for table, name, value in rows:
                tables[table][name] = value
            return Content(self._meta(database), tables[KEYS], tables[DENIALS])

    def _change(self, table: str, name: str, before: bytes | None, after: bytes | None) -> bool:
        self._make()
        with self._opened("IMMEDIATE") as database:
            epoch = self._meta(database).epoch
            found = database.execute(
                'SELECT value FROM held WHERE "table" = ? AND name = ?', (table, name)
            ).fetchone()
            if (found[0] if found else None) != before:
                return False
            (count,) = database.execute(
                'SELECT count(*) FROM held WHERE "table" = ?', (table,)
            ).fetchone()
            if found is None and after is not None and count >= self._most:
                raise TooManyRows(f"there are {count} already")
            if after is None:
                database.execute('DELETE FROM held WHERE "table" = ? AND name = ?', (table, name))
            else:
                database.execute(
                    "INSERT OR REPLACE INTO held VALUES (?, ?, ?)", (table, name, after)
                )
            meta = {
                "names": self._names,
                "epoch": epoch or secrets.token_bytes(12),
                "change": secrets.token_bytes(12),
            }
            database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
            return True

    def _make(self) -> None:
        """Put a new file in place whole: two that made one at once would be in each other's way."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.exists():
            return
        made = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(made, isolation_level=None)) as database:
                _prepare(database)
            with suppress(FileExistsError):
                self._path.hardlink_to(made)
        finally:
            made.unlink()

    @contextmanager
    def _opened(self, transaction: str) -> Iterator[sqlite3.Connection]:
        if self._path.stat().st_mode & _OTHERS:
            raise UnsafeRows("the store's file is open to others than its owner: chmod it to 600")
        uri = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        with closing(
            sqlite3.connect(uri, uri=True, timeout=self._seconds / 2, isolation_level=None)
        ) as database:
            database.execute("PRAGMA synchronous = FULL")  # what is revoked stays so
            if not database.execute("SELECT 1 FROM sqlite_schema").fetchone():
                _prepare(database)  # an empty file that somebody put there
            database.execute(f"BEGIN {transaction}")
            try:
                yield database
            except BaseException:
                if database.in_transaction:  # a full disk has ended it
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _meta(self, database: sqlite3.Connection) -> Version:
        meta: dict[str, Any] = dict(database.execute("SELECT name, value FROM meta"))
        if meta.get("names", self._names) != self._names:
            raise another_key("another file")
        return Version(meta.get("epoch", b""), meta.get("change", b""))


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(_SCHEMA)
