"""Lines are written behind everybody's back, and those that are lost are counted."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from serving.log_writing import LineWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIPE_BYTES = 4_096
_PATIENCE = 30.0


class Plain(logging.Formatter):
    """Makes lines of messages, and of what the writer itself says."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, or the number of what was lost."""
        msg: Any = record.msg
        return f"{msg['event']}: {msg['dropped']}" if isinstance(msg, dict) else str(msg)


def record(message: str) -> logging.LogRecord:
    """Return a record."""
    return logging.LogRecord("x", logging.INFO, "", 0, message, None, None)


@contextmanager
def small_pipe() -> Iterator[tuple[int, LineWriter]]:
    """Yield the reading end of a pipe that holds 4,096 bytes, and what writes into it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    with os.fdopen(writing, "w") as stream:
        writer = LineWriter(stream, most=100)
        writer.setFormatter(Plain())
        yield reading, writer
        writer.close()


def read_to(reading: int, ending: str) -> list[str]:
    """Read lines until one that begins so."""
    text = ""
    while not any(line.startswith(ending) for line in text.splitlines()):
        text += os.read(reading, 65_536).decode()
    return text.splitlines()


def within_reason(work: Any) -> None:
    """Do something in a thread, that a test may fail of what would wait for ever."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    assert not thread.is_alive()


def test_nobody_waits_for_a_reader_that_does_not_read() -> None:
    """A full pipe holds up no one who logs; what is lost is told when there is room again."""
    with small_pipe() as (reading, writer):
        sent = [f"{number:04} " + "x" * 100 for number in range(1_000)]
        within_reason(lambda: [writer.handle(record(each)) for each in sent])
        read = read_to(reading, "log lines lost: ")
        writer.handle(record("after"))
        read += read_to(reading, "after")
        writer.flush()
        os.set_blocking(reading, False)
        with suppress(BlockingIOError):
            read += os.read(reading, 65_536).decode().splitlines()
        os.close(reading)
    told = [int(each.split()[-1]) for each in read if each.startswith("log lines lost: ")]
    kept = [each for each in read if each in set(sent)]
    assert len(kept) + len(told) + 1 == len(read)  # whole
    assert kept == sorted(kept)
    assert len(kept) >= 100
    assert sum(told) == 1_000 - len(kept) > 0


def test_lines_that_come_together_stay_whole(tmp_path: Path) -> None:
    """However many threads log at once, each line is there once, in one piece."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        writer = LineWriter(stream)
        writer.setFormatter(Plain())

        def log(name: str) -> None:
            for number in range(200):
                writer.handle(record(f"{name} {number} " + name * (number * 37 % 5_000)))

        threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == sorted(
        f"{name} {number} " + name * (number * 37 % 5_000)
        for name in "abc"
        for number in range(200)
    )


def test_a_reader_that_has_left_is_survived() -> None:
    """What cannot be written is lost, quietly: nobody is there to be told."""
    with small_pipe() as (reading, writer):
        os.close(reading)
        for number in range(300):
            writer.handle(record(str(number)))
        within_reason(writer.flush)
        assert writer.lost == 300


def test_a_pipe_that_others_made_not_to_wait_is_waited_for() -> None:
    """Who shares standard error may have set O_NONBLOCK on it: no line is lost for that."""
    with small_pipe() as (reading, writer):
        os.set_blocking(writer.fileno, False)
        sent = [f"{number:04} " + "x" * 100 for number in range(90)]
        for line in sent:
            writer.handle(record(line))
        assert read_to(reading, "0089") == sent
        os.close(reading)


def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    """To close is to flush; to flush once more costs nothing."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        writer = LineWriter(stream)
        writer.setFormatter(Plain())
        for number in range(500):
            writer.handle(record(str(number)))
        writer.close()
        writer.flush()
    assert path.read_text(encoding="utf-8").split() == [str(number) for number in range(500)]


@pytest.mark.parametrize("text", ["\ud800", "ü\u2028"])
def test_any_character_can_be_written(tmp_path: Path, text: str) -> None:
    """What is no character is spelled out."""
    path = tmp_path / "log"
    with path.open("w") as stream:
        writer = LineWriter(stream)
        writer.setFormatter(Plain())
        writer.handle(record(text))
        writer.close()
    written = path.read_bytes().decode("utf-8")
    assert written == text.encode("utf-8", "backslashreplace").decode() + "\n"
