"""Writes log lines in a thread of its own, so that nobody waits for who reads them.

A write to a full pipe waits for its reader. In the event loop, it would be everybody
who waits, health included; here what does not fit is lost, and counted.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TextIO

from serving import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING = 2_000
"""How many lines wait for their reader; at most 32 MB."""

_ATOMIC_BYTES = select.PIPE_BUF  # so many stay together, whoever else writes to the same pipe
_FLUSH_SECONDS = 1.0
# To wake the thread for each line costs more than to make it: it waits for some to come together.
_LINGER_SECONDS = 0.01

_LOST = "log lines lost"


class LineWriter(logging.Handler):
    """Hands lines over to a thread, which writes them; never waits."""

    def __init__(self, stream: TextIO, most: int = MAX_WAITING) -> None:
        """Write to `stream`, and let at most `most` lines wait."""
        super().__init__()
        self.fileno = stream.fileno()
        self._write = _writer_to(self.fileno)
        self._most = most
        self._waiting: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        self._urgent = threading.Event()
        self._lock_of_lost = threading.Lock()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many lines were lost since that was last told."""
        return self._lost

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over the line of a record; the formatter never raises."""
        if self._waiting.qsize() >= self._most:
            self._lose(1)
        else:
            self._waiting.put(self.format(record) + "\n")
            if record.levelno >= logging.WARNING:  # they may be the last
                self._urgent.set()

    def flush(self) -> None:
        """Wait until what was handed over is written, but for no more than a second."""
        if self._thread.is_alive():
            written = threading.Event()
            self._waiting.put(written)
            self._urgent.set()
            written.wait(_FLUSH_SECONDS)

    def close(self) -> None:
        """Flush, and end the thread: whoever has the file's number next is not to be written to."""
        self._waiting.put(None)
        self._urgent.set()
        self._thread.join(_FLUSH_SECONDS)
        super().close()

    def _run(self) -> None:
        while True:
            taken = self._waiting.get()
            self._urgent.wait(_LINGER_SECONDS)
            self._urgent.clear()
            batch = [] if isinstance(taken, threading.Event) or taken is None else [taken]
            size = sum(map(len, batch))
            # What came meanwhile goes with it: one call of the system for many lines.
            while batch and not self._waiting.empty():
                taken = self._waiting.get()
                if isinstance(taken, threading.Event) or taken is None:
                    break
                if size + len(taken) > _ATOMIC_BYTES:
                    self._put(batch)
                    batch, size = [], 0
                batch.append(taken)
                size += len(taken)
            self._put(batch)
            ends = isinstance(taken, threading.Event) or taken is None
            if ends or self._waiting.qsize() <= self._most // 2:
                self._tell()
            if isinstance(taken, threading.Event):
                taken.set()
            elif taken is None:
                return

    def _put(self, lines: list[str]) -> None:
        if lines and not self._write(_encoded("".join(lines))):
            self._lose(len(lines))

    def _lose(self, count: int) -> None:
        metrics.RECORDS_DROPPED.add(count, log="lines")
        with self._lock_of_lost:
            self._lost += count

    def _tell(self) -> None:
        """Say what was lost, when there is room to say it."""
        with self._lock_of_lost:
            lost, self._lost = self._lost, 0
        if lost:
            told = {"event": _LOST, "dropped": lost}
            record = logging.LogRecord(__name__, logging.WARNING, "", 0, told, None, None)
            if not self._write(_encoded(self.format(record) + "\n")):
                self._lose(lost)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _writer_to(number: int) -> Callable[[bytes], bool]:
    """Return what writes all of its bytes, without Python's buffers, whose locks outlive threads.

    It returns whether it could.
    """

    def write(data: bytes) -> bool:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(number, rest) :]
                except BlockingIOError:  # whoever shares it has made it so
                    select.select([], [number], [])
        except OSError:  # nobody reads any more, or the disk is full
            return False
        return True

    return write
