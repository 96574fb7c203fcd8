"""The ledger in files: JSON lines, rotated by size and age, deleted when they are old."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from serving.rotating import RotatingFile
from tokenservice.ledger.entry import Entry, Malformed
from tokenservice.ledger.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

    from serving.clock import Clock

_DAY_MS = 86_400_000
_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 16


class JsonlSink:
    """Rows to a file of our own, mode 0600, and when they are kept, they are on the disk."""

    def __init__(
        self, path: Path, clock: Clock, *, max_bytes: int, backups: int, retention_days: int
    ) -> None:
        """Append to `path`; a file that is full, or spans its part of the time, is rotated.

        Old files are deleted whole, so a row lives for `retention_days`, and at most the
        part of it longer that one of the `backups` spans; shorter if the space is used up.

        Raises:
            StartError: The file cannot be written, or another process writes it.

        """
        self._clock = clock
        self._max_bytes = max_bytes
        self._retention_ms = retention_days * _DAY_MS
        self._span_ms = self._retention_ms // backups
        self._file = RotatingFile(path, max_bytes, backups)
        self._begun = _first_time(path) or clock()

    async def append(self, entries: Sequence[Entry]) -> None:
        """See Sink. Of rows that come again, those that were written before are there twice."""
        await in_thread(lambda: self._append(entries))

    async def close(self) -> None:
        """See Sink."""
        await in_thread(self._file.close)

    def _append(self, entries: Sequence[Entry]) -> None:
        self._file.reopen_if_moved()
        now = self._clock()
        if self._file.size and now - self._begun >= self._span_ms:
            self._file.rotate()
        self._file.remove_backups((now - self._retention_ms) / 1000)
        for chunk in self._chunks(entries):
            before = self._file.size
            self._file.write(chunk)
            if not before or self._file.size == len(chunk):
                self._begun = entries[0].at
            self._file.sync()  # each time: the next part may begin another file

    def _chunks(self, entries: Sequence[Entry]) -> Iterator[bytes]:
        """Yield the rows' lines in parts that fit into a file, or are one line."""
        chunk = b""
        for entry in entries:
            line = entry.to_json() + b"\n"
            if chunk and len(chunk) + len(line) > self._max_bytes:
                yield chunk
                chunk = b""
            chunk += line
        if chunk:
            yield chunk


class JsonlSource:
    """Rows from such files, also while they are written."""

    def __init__(self, path: Path, needle: bytes = b"", *, optional: bool = False) -> None:
        """Read `path` and what was rotated; only lines that have `needle` in them.

        No file at all is no rows, if it is `optional`.
        """
        self._path = path
        self._needle = needle
        self._optional = optional

    async def rows(self, since: int) -> AsyncGenerator[Entry]:
        """See Source. What is no row is passed over: half a line is what a crash leaves.

        Raises:
            OSError: There is no file, or it cannot be read.

        """
        number, path = 0, self._path
        read: set[tuple[int, int]] = set()
        # In this order, a rotation meanwhile shows a file again, and none not at all.
        while True:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                if number or self._optional:
                    return
                raise
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                status = os.fstat(descriptor)
                if status.st_mtime * 1000 + _DAY_MS < since:
                    return
                known = (status.st_dev, status.st_ino) in read
                read.add((status.st_dev, status.st_ino))
                end = 0 if known else file.seek(0, os.SEEK_END)
                for line in _lines_backwards(descriptor, end):
                    if self._needle in line and (entry := _row(line)) is not None:
                        yield entry
            number += 1
            path = self._path.with_name(f"{self._path.name}.{number}")


def _row(line: bytes) -> Entry | None:
    try:
        return Entry.from_json(line)
    except Malformed:
        return None


def _first_time(path: Path) -> int:
    """Return the time of the first row of a file, or 0."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if (entry := _row(line)) is not None:
                return entry.at
    return 0


def _lines_backwards(descriptor: int, end: int) -> Iterator[bytes]:
    """Yield a file's lines, last first. Not by mmap: what is cut off meanwhile kills its reader."""
    rest = b""
    while end > 0:
        begin = max(0, end - _BLOCK)
        block = os.pread(descriptor, end - begin, begin) + rest
        end = begin
        rest, *lines = block.split(b"\n")
        yield from reversed(lines)
        if len(rest) > _LONGEST_LINE:  # no row of ours
            rest = b""
    yield rest


def needle(value: str) -> bytes:
    """Return how a value stands in a line, by which others are passed over without reading them."""
    return json.dumps(value).encode()
