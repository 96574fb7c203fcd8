"""What every store of identities does alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tokenservice.identity.rows import Content, TooManyRows, UnsafeRows, Version

if TYPE_CHECKING:
    from identity_places import Place


async def test_a_new_store_is_empty(place: Place) -> None:
    """A store without rows has no version, and reading leaves none behind."""
    rows = await place.rows()
    assert await rows.version() == Version()
    assert await rows.read() == Content()
    assert await rows.version() == Version()


async def test_a_row_is_read_by_everybody_as_it_was_written(place: Place) -> None:
    """What one process writes, whatever its bytes, another reads, in its table only."""
    one, other = await place.rows(), await place.rows()
    every_byte = bytes(range(256))
    assert await one.change("keys", "k", None, every_byte)
    assert await one.change("denials", "d-_", None, b"\0")
    content = await other.read()
    assert content.keys == {"k": every_byte}
    assert content.denials == {"d-_": b"\0"}
    assert content.version == await one.version()


async def test_a_row_changes_only_from_what_it_was(place: Place) -> None:
    """A change that expects another row, none, or one where there is none, changes nothing."""
    rows = await place.rows()
    assert await rows.change("keys", "k", None, b"1")
    before = await rows.read()
    assert not await rows.change("keys", "k", None, b"2")
    assert not await rows.change("keys", "k", b"2", b"3")
    assert not await rows.change("keys", "k", b"2", None)
    assert not await rows.change("keys", "other", b"1", b"2")
    assert not await rows.change("denials", "k", b"1", b"2")
    assert await rows.read() == before
    assert await rows.change("keys", "k", b"1", b"2")
    assert (await rows.read()).keys == {"k": b"2"}
    assert await rows.change("keys", "k", b"2", None)
    assert (await rows.read()).keys == {}


async def test_each_change_makes_another_version_of_the_same_store(place: Place) -> None:
    """No version returns, even where the rows do; the epoch stays, even of a store emptied."""
    rows = await place.rows()
    seen = []
    for before, after in ((None, b"1"), (b"1", b"2"), (b"2", b"1"), (b"1", None), (None, b"1")):
        assert await rows.change("keys", "k", before, after)
        seen.append(await rows.version())
    assert len({version.change for version in seen}) == len(seen)
    assert len({version.epoch for version in seen}) == 1
    assert seen[0].epoch


async def test_of_changes_at_once_one_wins(place: Place) -> None:
    """Of ten processes that change one row, one does, and reads its own."""
    all_rows = [await place.rows() for _ in range(10)]
    won = await asyncio.gather(
        *(rows.change("keys", "k", None, b"%d" % n) for n, rows in enumerate(all_rows))
    )
    assert sum(won) == 1
    assert (await all_rows[0].read()).keys == {"k": b"%d" % won.index(True)}


async def test_changes_at_once_of_different_rows_all_take_place(place: Place) -> None:
    """Eight processes that change ten rows each wait for one another, and lose none."""

    async def change_ten(number: int) -> None:
        rows = await place.rows()
        for each in range(10):
            assert await rows.change("keys", f"{number}-{each}", None, b"1")

    await asyncio.gather(*(change_ten(number) for number in range(8)))
    assert len((await (await place.rows()).read()).keys) == 80


async def test_a_table_has_its_limit(place: Place) -> None:
    """A full table takes no new row, but changes, removals, and rows of the other table."""
    rows = await place.rows(most=2)
    assert await rows.change("keys", "a", None, b"1")
    assert await rows.change("keys", "b", None, b"1")
    with pytest.raises(TooManyRows):
        await rows.change("keys", "c", None, b"1")
    assert await rows.change("keys", "a", b"1", b"2")
    assert await rows.change("denials", "c", None, b"1")
    assert await rows.change("keys", "a", b"2", None)
    assert await rows.change("keys", "c", None, b"1")


async def test_rows_under_another_key_are_not_touched(place: Place) -> None:
    """Who has another hash key neither reads nor changes the store, and is told the remedy."""
    ours, theirs = await place.rows(), await place.rows(names=b"others")
    assert await ours.change("keys", "k", None, b"1")
    for refused in (theirs.version(), theirs.read(), theirs.change("keys", "k", b"1", None)):
        with pytest.raises(UnsafeRows, match="another TOKENSERVICE_HASH_KEY"):
            await refused
    assert (await ours.read()).keys == {"k": b"1"}
