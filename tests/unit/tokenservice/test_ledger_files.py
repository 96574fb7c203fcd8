"""The ledger in files: whole lines, within their space and time, found again."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from ledger_rows import NOW, found, row
from structlog.testing import capture_logs

from serving.process import StartError
from tokenservice.ledger.jsonl import JsonlSink, JsonlSource, needle
from tokenservice.ledger.ledger import FAILING, Ledger
from tokenservice.ledger.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400_000
LINE = len(row(10).to_json()) + 1


class Time:
    """A clock that is set, and files that were written when it said so."""

    def __init__(self, path: Path) -> None:
        """Begin now."""
        self.now = NOW
        self.path = path

    def __call__(self) -> int:
        """Return the time."""
        return self.now

    def pass_days(self, days: float) -> None:
        """Let time pass; the file was last written before."""
        os.utime(self.path, (self.now / 1000, self.now / 1000))
        self.now += round(days * DAY)


def sink(path: Path, clock: Time | None = None, **options: int) -> JsonlSink:
    """Return a sink."""
    chosen = {"max_bytes": 1_000_000, "backups": 10, "retention_days": 90, **options}
    return JsonlSink(path, clock or Time(path), **chosen)


def numbers(path: Path) -> list[int]:
    """Return which rows are in one file."""
    return [int(line.split(b'"d-')[1].split(b'"')[0]) for line in path.read_bytes().splitlines()]


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def put(path: Path, content: bytes) -> None:
    """Make a file."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def content(path: Path) -> bytes:
    """Return what is in a file."""
    return path.read_bytes()


def move(path: Path, to: Path | None) -> None:
    """Move a file, or delete it."""
    path.rename(to) if to else path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger is, in a directory that is not there yet."""
    return tmp_path / "state" / "ledger.jsonl"


async def test_the_file_is_nobody_elses(path: Path) -> None:
    """File and directory are made for their owner alone; a second process does not start."""
    kept = sink(path)
    await kept.append([row(1)])
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    with pytest.raises(StartError, match="another process"):
        sink(path)
    await kept.close()
    await sink(path).close()


async def test_files_stay_within_their_space(path: Path) -> None:
    """No file grows beyond its size, no more are kept than told, and the newest rows are there."""
    kept = sink(path, max_bytes=3 * LINE + 5, backups=2)
    await kept.append([row(number) for number in range(10, 14)])
    for number in range(14, 40):
        await kept.append([row(number)])
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [
        "ledger.jsonl",
        "ledger.jsonl.1",
        "ledger.jsonl.2",
    ]
    assert max(file.stat().st_size for file in files) <= 3 * LINE + 5
    at = [entry.at - NOW for entry in await found(JsonlSource(path))]
    assert at == list(range(39, 39 - len(at), -1))
    assert 7 <= len(at) <= 9


async def test_a_quiet_service_keeps_rows_no_longer_than_told(path: Path) -> None:
    """Each row is kept for the retention, and gone a span of one file later, however few come."""
    clock = Time(path)
    kept = sink(path, clock, retention_days=90, backups=10)
    for day in range(200):
        await kept.append([row(day, at=clock.now)])
        there = {round((entry.at - NOW) / DAY) for entry in await found(JsonlSource(path))}
        assert there >= set(range(max(0, day - 89), day + 1))
        assert min(there) >= day - 100
        clock.pass_days(1)
    await kept.close()


async def test_the_age_of_a_file_survives_a_restart(path: Path) -> None:
    """A file that was begun before the start is as old as its first row."""
    clock = Time(path)
    first = sink(path, clock, retention_days=10, backups=1)
    await first.append([row(1, at=clock.now)])
    await first.close()
    clock.pass_days(10)
    second = sink(path, clock, retention_days=10, backups=1)
    await second.append([row(2, at=clock.now)])
    assert (numbers(path), numbers(path.with_name("ledger.jsonl.1"))) == ([2], [1])


async def test_half_a_line_spoils_no_other(path: Path) -> None:
    """What a crash tore is passed over, and what follows is whole."""
    put(path, row(1).to_json() + b"\n" + row(2).to_json()[:20])
    kept = sink(path)
    await kept.append([row(3)])
    assert await found(JsonlSource(path)) == [row(3), row(1)]
    put(path, content(path) + row(4).to_json()[:20])
    assert await found(JsonlSource(path)) == [row(3), row(1)]


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let the system refuse what would make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk_loses_no_row_and_tears_no_line(path: Path) -> None:
    """While the disk is full rows wait, and once it is not, all are there, each once."""
    async with Ledger(sink(path)) as ledger:
        with capture_logs() as logged, full_disk(LINE * 3 // 2):
            for number in range(10, 30):
                ledger.record(row(number))
            assert await ledger.change("SERVING") == FAILING
            assert content(path) == b""
        assert await ledger.change(FAILING) == "SERVING"
    assert numbers(path) == list(range(10, 30))
    assert logged[0]["cause"] == "File too large"
    assert str(path) not in str(logged)


async def test_a_file_that_was_taken_away_is_begun_anew(path: Path) -> None:
    """Who moves or deletes the file loses what was in it, and nothing of what comes."""
    kept = sink(path)
    await kept.append([row(1)])
    move(path, path.with_name("elsewhere"))
    await kept.append([row(2)])
    move(path, None)
    await kept.append([row(3)])
    assert numbers(path) == [3]
    assert mode(path) == 0o600


async def test_a_rotation_meanwhile_hides_no_row(path: Path) -> None:
    """Who reads while files are rotated finds each row."""
    kept = sink(path, max_bytes=5 * LINE, backups=10)
    await kept.append([row(number) for number in range(10, 30)])
    seen = set()
    async for entry in JsonlSource(path).rows(0):
        seen.add(entry.at - NOW)
        if entry.at - NOW in {28, 22, 14}:
            await kept.append([row(50 + entry.at - NOW) for _ in range(5)])
    assert seen >= set(range(10, 30))


async def test_lines_of_any_length_are_passed_over(path: Path) -> None:
    """What is no row, however long, hides none."""
    rubbish = b"x" * 200_000
    lines = [row(1).to_json(), rubbish, b"", b"\xff\0", row(2).to_json(), rubbish]
    put(path, b"\n".join(lines))
    assert await found(JsonlSource(path)) == [row(2), row(1)]


async def test_many_blocks_are_read(path: Path) -> None:
    """Rows that lie across the blocks that a file is read in are whole."""
    kept = sink(path)
    rows = [row(number, request_id="r" * (number % 61)) for number in range(3_000)]
    await kept.append(rows)
    assert len(content(path)) > 3 * 65_536
    assert await found(JsonlSource(path)) == rows[::-1]
    picked = JsonlSource(path, needle("d-1234"))
    assert await found(picked, decision_id="d-1234") == [rows[1234]]


async def test_old_files_are_not_read(path: Path) -> None:
    """What was last written a day before the time that is asked for is not opened."""
    kept = sink(path)
    await kept.append([row(1)])
    os.utime(path, (NOW / 1000, NOW / 1000))
    assert [entry async for entry in JsonlSource(path).rows(NOW + DAY)] == [row(1)]
    assert [entry async for entry in JsonlSource(path).rows(NOW + DAY + 1)] == []


async def test_no_file_is_an_error(path: Path) -> None:
    """A ledger that is not there is not an empty one."""
    with pytest.raises(FileNotFoundError):
        await found(JsonlSource(path))


async def test_what_fails_in_a_thread_is_raised_where_it_is_waited_for() -> None:
    """A thread's error is its caller's; and who leaves early is no error of the thread."""

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await in_thread(fail)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def pass_by() -> None:
        loop.call_soon_threadsafe(gate.set)

    waiting = asyncio.create_task(in_thread(pass_by))
    await gate.wait()
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_what_is_kept_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are kept once the disk has them, in each file that they came into."""
    synced: dict[int, int] = {}
    fdatasync = os.fdatasync

    def sync(descriptor: int) -> None:
        fdatasync(descriptor)
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size

    monkeypatch.setattr(os, "fdatasync", sync)
    await sink(path, max_bytes=3 * LINE).append([row(number) for number in range(10, 18)])
    files = [file.stat() for file in path.parent.iterdir()]
    assert len(files) == 3
    assert {status.st_ino: status.st_size for status in files} == synced


async def test_full_files_that_are_old_are_deleted(path: Path) -> None:
    """Files that were full long before they were many go when their newest row is too old."""
    clock = Time(path)
    kept = sink(path, clock, max_bytes=3 * LINE, retention_days=90)
    await kept.append([row(number) for number in range(10, 18)])
    for file in path.parent.iterdir():
        os.utime(file, (NOW / 1000, NOW / 1000))
    clock.now += 90 * DAY
    await kept.append([row(50)])
    assert [entry.at - NOW for entry in await found(JsonlSource(path))][-2:] == [11, 10]
    clock.now += 1_000
    await kept.append([row(51)])
    assert [entry.at - NOW for entry in await found(JsonlSource(path))] == [51, 50]
