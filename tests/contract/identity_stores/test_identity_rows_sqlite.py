"""Identities in a file: its rights, its damage, and what its bytes show."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from identity_rows import HASH_KEY, StillClock
from pydantic import SecretStr

from serving.process import StartError
from serving.stores import StoreUnavailable
from tokenservice.errors import SubjectDenied
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.opening import open_directory, open_rows
from tokenservice.identity.registry import Registry
from tokenservice.identity.rows import Content, UnsafeRows
from tokenservice.identity.settings import IdentitySettings
from tokenservice.identity.sqlite_rows import SqliteRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is to be."""
    return tmp_path / "state" / "identity.db"


@pytest.fixture
def rows(path: Path) -> Iterator[SqliteRows]:
    """Return rows in the file."""
    rows = SqliteRows(path, names=b"names", timeout_ms=5_000)
    yield rows
    rows.close()


def settings(path: Path) -> IdentitySettings:
    """Return the settings of a process on this machine."""
    return IdentitySettings(
        store_url=SecretStr(f"sqlite:{path}"),
        hash_key=SecretStr(HASH_KEY.decode()),
        store_timeout_ms=5_000,
    )


def put_in_place(path: Path, content: bytes) -> None:
    """Have another file where one was, with the same rights."""
    path.unlink()
    path.touch(mode=0o600)
    path.write_bytes(content)


async def test_reading_makes_no_file(rows: SqliteRows, path: Path) -> None:
    """The first change makes the file; who only looks leaves nothing behind."""
    assert await rows.read() == Content()
    assert not path.parent.exists()


async def test_the_file_is_its_owners(rows: SqliteRows, path: Path) -> None:
    """The file and those beside it have mode 0600, a directory made for them 0700."""
    await rows.change("keys", "k", None, b"1")
    holder = sqlite3.connect(path)
    with closing(holder):
        holder.execute("SELECT * FROM held").fetchall()
        await rows.change("keys", "k", b"1", b"2")
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {
            "identity.db",
            "identity.db-wal",
            "identity.db-shm",
        }
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_others_may_read_is_refused(rows: SqliteRows, path: Path) -> None:
    """One with more rights than that is not used, and what to do is told."""
    await rows.change("keys", "k", None, b"1")
    path.chmod(0o640)  # noqa: ASYNC240 - at once
    for use in (rows.version(), rows.read(), rows.change("keys", "k", b"1", None)):
        with pytest.raises(UnsafeRows, match="chmod"):
            await use
    with pytest.raises(StartError, match="TOKENSERVICE_STORE_URL"):
        async with open_directory(settings(path), StillClock()):
            pass


async def test_damage_is_told_without_what_was_in_it(rows: SqliteRows, path: Path) -> None:
    """A file that is no database is a store that cannot answer; an empty one is an empty store."""
    await rows.change("keys", "k", None, b"1")
    put_in_place(path, b"no database " * 1000)
    with pytest.raises(StoreUnavailable, match=r"^the store failed: SQLITE_NOTADB$"):
        await rows.read()
    put_in_place(path, b"")
    assert await rows.read() == Content()


async def test_a_lock_that_another_holds_is_waited_for_no_longer_than_allowed(
    rows: SqliteRows, path: Path
) -> None:
    """While another process writes, a look is answered, and a change fails in the end."""
    await rows.change("keys", "k", None, b"1")
    hasty = SqliteRows(path, names=b"names", timeout_ms=100)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(hasty):
        other.execute("BEGIN IMMEDIATE")
        assert (await hasty.read()).keys == {"k": b"1"}
        with pytest.raises(StoreUnavailable, match=r"SQLITE_BUSY|time-out"):
            await hasty.change("keys", "k", b"1", None)
        other.execute("ROLLBACK")
    assert (await rows.read()).keys == {"k": b"1"}


async def test_a_full_disk_changes_nothing(rows: SqliteRows, path: Path) -> None:
    """A change that cannot be written whole is not there at all."""
    await rows.change("keys", "k", None, b"1")
    before = await rows.read()
    with closing(sqlite3.connect(path)) as database:
        # As much as there is: the file may not grow.
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    opened = sqlite3.connect

    def bounded(*args: object, **options: object) -> sqlite3.Connection:
        database = opened(*args, **options)  # type: ignore[call-overload]
        database.execute(f"PRAGMA max_page_count = {pages}")
        assert isinstance(database, sqlite3.Connection)
        return database

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", bounded)
        with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
            await rows.change("keys", "big", None, bytes(1_000_000))
    assert await rows.read() == before


async def test_a_file_put_in_place_of_it_is_read(rows: SqliteRows, path: Path) -> None:
    """A backup that is put back is seen at the next look: no process keeps the old file."""
    await rows.change("keys", "k", None, b"1")
    backup = path.read_bytes()  # noqa: ASYNC240 - at once
    await rows.change("keys", "k", b"1", b"2")
    put_in_place(path, backup)
    assert (await rows.read()).keys == {"k": b"1"}


async def test_a_denial_outlives_the_process(path: Path) -> None:
    """What was denied before a restart is denied after it."""
    keyring, clock = Keyring(HASH_KEY), StillClock()
    async with open_rows(settings(path), keyring) as rows:
        await Registry(rows, keyring, clock).deny("eve", reason="left", actor="op")
    async with open_directory(settings(path), clock) as directory:
        with pytest.raises(SubjectDenied):
            directory.check("eve")


async def test_the_file_shows_neither_key_nor_owner(path: Path) -> None:
    """In the bytes of the file and its journal stand ids and pseudonyms, and no more."""
    keyring = Keyring(HASH_KEY)
    async with open_rows(settings(path), keyring) as rows:
        registry = Registry(rows, keyring, StillClock())
        await registry.deny("ann.owner@example.com", reason="the reason", actor="the actor")
        with closing(sqlite3.connect(path)) as holder:  # so that the journal stays
            holder.execute("SELECT * FROM held").fetchall()
            text, key = await registry.create_key(
                "ann.owner@example.com", label="the label", lifetime_ms=DAY_MS, actor="the actor"
            )
            await registry.revoke_key(key.id, actor="the actor")
            written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert key.id.encode() in written
    secret = text.split("_")[2]
    for hidden in (text, secret, secret[:12], "ann.owner", "the label", "the actor", "the reason"):
        assert hidden.encode() not in written
    assert keyring.digest(text).encode() not in written
    assert HASH_KEY not in written
