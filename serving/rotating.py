"""A file of lines that makes room for itself: `PATH`, then `PATH.1`, `PATH.2` and so on.

What is in it is whole lines, also after a write that failed half way.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from serving.process import StartError

if TYPE_CHECKING:
    from pathlib import Path


class RotatingFile:
    """Lines to a file of our own, mode 0600, that makes room for itself."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        """Append to `path`.

        Raises:
            StartError: It cannot be written, or another process does.

        """
        self._path, self._max_bytes, self._backups = path, max_bytes, backups
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = self._open()
        except BlockingIOError as error:
            raise StartError(f"cannot write {path}: another process does") from error
        except OSError as error:
            raise StartError(f"cannot write {path}: {error.strerror}") from error
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        """Bytes in the file that is written to."""
        return self._size

    def write(self, line: bytes) -> None:
        """Keep a line, or several, wholly or not at all.

        Raises:
            OSError: Not at all.

        """
        if self._size and self._size + len(line) > self._max_bytes:
            self.rotate()
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)  # no half line stays
            raise
        self._size += len(line)

    def sync(self) -> None:
        """Wait until what was written is on the disk.

        Raises:
            OSError: It may not be.

        """
        os.fdatasync(self._descriptor)

    def reopen_if_moved(self) -> None:
        """Begin a new file at the path, if somebody took away the one that was there.

        Raises:
            OSError: It cannot be made; the one that was taken away is kept for now.

        """
        ours = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            there = self._path.stat()
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return
        self._begin()

    def remove_backups(self, before: float) -> int:
        """Delete the full files last written before then (seconds since the epoch); count them."""
        removed = 0
        for number in range(1, self._backups + 1):
            with suppress(FileNotFoundError):
                if self._backup(number).stat().st_mtime < before:
                    self._backup(number).unlink()
                    removed += 1
        return removed

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def rotate(self) -> None:
        """Call the file full, and begin a new one.

        Raises:
            OSError: It cannot be.

        """
        for number in range(self._backups - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._backup(number).replace(self._backup(number + 1))
        with suppress(FileNotFoundError):
            if self._backups:
                self._path.replace(self._backup(1))
            else:
                self._path.unlink()
        self._begin()

    def _begin(self) -> None:
        full, self._descriptor = self._descriptor, self._open()
        os.close(full)
        self._size = os.fstat(self._descriptor).st_size

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "it is no regular file")  # noqa: TRY301 - closed below
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(descriptor, 0o600)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                os.write(descriptor, b"\n")  # a machine went down half way through a line
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
