"""The decision log: JSON lines, to standard output or to a file that is rotated.

A decision waits for no disk. Entries go through a bounded queue to a thread; if
that cannot keep up, or cannot write, they are dropped, counted and spoken of.
What is in the file is whole lines, also after a write that failed half way.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING, Protocol

from serving.losses import Losses
from serving.rotating import RotatingFile
from serving.tracing import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from policy.record import Entry, Recorder

STDOUT = "stdout"
_CAPACITY = 10_000
"""Entries that wait: some megabytes, and seconds of a busy sidecar."""
_CLOSE_SECONDS = 2.0


@contextmanager
def decision_log(
    target: str, *, max_bytes: int = 100_000_000, backups: int = 5
) -> Iterator[Recorder]:
    """Record to `target` while the block runs: a path, `stdout`, or nothing for none.

    A file that would grow beyond `max_bytes` becomes `<path>.1`, that one
    `<path>.2`, and so on; those beyond `backups` are deleted.

    Raises:
        StartError: The file cannot be written, or another process writes it.

    """
    if not target:
        yield Nowhere()
        return
    sink = Stream(1) if target == STDOUT else RotatingFile(Path(target), max_bytes, backups)
    recorder = DecisionLog(sink)
    try:
        yield recorder
    finally:
        recorder.close()


class Sink(Protocol):
    """Where lines go, one at a time."""

    def write(self, line: bytes) -> None:
        """Keep a line, wholly or not at all.

        Raises:
            OSError: Not at all.

        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Nowhere:
    """A recorder that keeps nothing."""

    def write(self, entry: Entry) -> None:
        """Forget an entry."""


class DecisionLog:
    """A recorder that writes in a thread of its own."""

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = _CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to `sink`, which is closed in the end; let `capacity` entries wait for it."""
        self._sink = sink
        self._queue: Queue[Entry | None] = Queue(capacity)
        self._losses = Losses("decision log", "entries", metric="decisions", clock=clock)
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, entry: Entry) -> None:
        """Keep an entry, and in which trace it was; it must not be changed any more."""
        if trace := trace_id():
            entry = {**entry, "trace_id": trace}
        try:
            self._queue.put_nowait(entry)
        except Full:
            self._losses.add("more entries than can be written")

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Write what waits, but do not wait for longer than this."""
        ends = time.monotonic() + seconds
        with suppress(Full):
            self._queue.put(None, timeout=seconds)
        self._thread.join(max(0.0, ends - time.monotonic()))
        if self._thread.is_alive():
            self._losses.add("the stop did not wait", self._queue.qsize())
        else:
            self._sink.close()
        self._losses.end()

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            try:
                text = json.dumps(entry, separators=(",", ":"), allow_nan=False)
                self._sink.write(f"{text}\n".encode())
            except OSError as error:
                self._losses.add(error.strerror or type(error).__name__)
            except Exception as error:  # noqa: BLE001 - an entry may be lost, the thread may not
                self._losses.add(f"{type(error).__name__}: no line can be made of an entry")
            else:
                self._losses.none()
            finally:
                self._queue.task_done()


class Stream:
    """Lines to an open file descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Write to `descriptor`, which stays open."""
        self._descriptor = descriptor
        self._torn = False

    def write(self, line: bytes) -> None:
        """See Sink. Where half a line went out, the next begins on a line of its own."""
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            written = os.write(self._descriptor, rest)
            rest = rest[written:]
            self._torn = bool(rest)

    def close(self) -> None:
        """See Sink."""
