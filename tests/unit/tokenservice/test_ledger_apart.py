"""Who may have no token cannot push out the rows of those who got one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from ledger_rows import NOW, FlakySink, found, row

from tokenservice.ledger.apart import ApartSink, ApartSource
from tokenservice.ledger.jsonl import JsonlSink, JsonlSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tokenservice.ledger.entry import Entry


class Listed:
    """Rows that are there."""

    def __init__(self, entries: list[Entry]) -> None:
        """Hold them, the oldest first."""
        self._entries = entries

    async def rows(self, since: int) -> AsyncGenerator[Entry]:
        """See Source."""
        assert since == 0
        for entry in reversed(self._entries):
            yield entry


async def test_a_flood_of_refusals_pushes_out_no_token(tmp_path: Path) -> None:
    """However many are refused, the row of each token is still found."""
    paths = tmp_path / "tokens", tmp_path / "others"
    sinks = [
        JsonlSink(path, lambda: NOW, max_bytes=2_000, backups=2, retention_days=90)
        for path in paths
    ]
    sink = ApartSink(*sinks)
    await sink.append([row(1, token="T")])
    for begin in range(2, 2_000, 100):
        await sink.append([row(n, outcome="refused") for n in range(begin, begin + 100)])
    source = ApartSource(*(JsonlSource(path) for path in paths))
    assert await found(source, token="T") == [row(1, token="T")]
    assert 20 < len(await found(source)) < 100
    await sink.close()


async def test_what_was_kept_in_part_is_not_kept_once_a_try() -> None:
    """While one place fails, the other does not fill with the same rows again and again."""
    tokens, others = FlakySink(), FlakySink()
    sink = ApartSink(tokens, others)
    others.broken = OSError(28, "No space left on device")
    batch = [row(1, token="T"), row(2), row(3, token="T")]
    for _ in range(5):
        with pytest.raises(OSError, match="No space"):
            await sink.append(batch)
    others.broken = None
    await sink.append([*batch, row(4)])
    assert tokens.kept == [row(1, token="T"), row(3, token="T")]
    assert others.kept == [row(2), row(4)]
    await sink.close()
    assert tokens.closed
    assert others.closed


@given(st.lists(st.booleans()))
async def test_two_places_are_read_as_one(sides: list[bool]) -> None:
    """Rows of both are found, each once, in one order, the newest first."""
    rows = [row(number) for number in range(len(sides))]
    one = [entry for entry, side in zip(rows, sides, strict=True) if side]
    other = [entry for entry, side in zip(rows, sides, strict=True) if not side]
    assert await found(ApartSource(Listed(one), Listed(other))) == rows[::-1]


async def test_what_was_kept_is_not_remembered() -> None:
    """Only a try that failed is remembered, until it succeeds."""
    tokens = FlakySink()
    sink = ApartSink(tokens, FlakySink())
    for _ in range(2):
        await sink.append([row(1, token="T"), row(2)])
    assert tokens.kept == [row(1, token="T"), row(1, token="T")]
