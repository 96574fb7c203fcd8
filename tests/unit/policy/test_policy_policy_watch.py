"""The policy in force follows its file, and survives it. Each look is one `poll()`."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from policy.effective import Tier
from policy.file.reading import PolicyFileError, parse
from policy.file.strict_yaml import MAX_BYTES
from policy.file.watch import PolicyBook, reader
from policy.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path
    from typing import Any

NOW = 1_767_225_600_000
ONE = b"version: 1\nlimits: {tokens_per_hour: 1}"
TWO = b"version: 1\nlimits: {tokens_per_hour: 2}"
BAD = b"version: 1\nlimits: {tokens_per_hour: 0}"
PARSE = partial(parse, defaults=Limits(), degraded_defaults=Tier().degraded_limits)


class Disk:
    """A file and a clock that are what they are set to."""

    def __init__(self) -> None:
        """Hold a good policy."""
        self.content: bytes | None = ONE
        self.now = NOW
        self.readers: set[int] = set()

    def read(self) -> bytes:
        """Return what the file holds, if it is there."""
        self.readers.add(threading.get_ident())
        if self.content is None:
            raise FileNotFoundError(2, "No such file or directory")
        return self.content


@pytest.fixture
def disk() -> Disk:
    """Return a disk with a good policy."""
    return Disk()


@pytest.fixture
def book(disk: Disk) -> PolicyBook:
    """Return a book that holds it."""
    return PolicyBook(disk.read, PARSE, lambda: disk.now)


@pytest.fixture
def logs(book: PolicyBook) -> Iterator[list[MutableMapping[str, Any]]]:
    """Return what is logged once the first policy is in force."""
    assert book.rejected == ""
    with capture_logs() as captured:
        yield captured


async def looks(book: PolicyBook, times: int = 2) -> int:
    """Look at the file some times; return the hour's limit that is then in force."""
    for _ in range(times):
        await book.poll()
    return book.current.default.limits.tokens_per_hour


class TestStart:
    """The first policy."""

    def test_a_good_file_is_in_force(self, disk: Disk) -> None:
        """It says since when, and logs its name."""
        with capture_logs() as logs:
            book = PolicyBook(disk.read, PARSE, lambda: disk.now)
        assert book.current == PARSE(ONE.decode())
        assert (book.loaded_at, book.rejected) == (NOW, "")
        (line,) = logs
        assert (line["event"], line["digest"]) == ("policy loaded", book.current.digest)

    @pytest.mark.parametrize(
        "content, problem",
        [
            (BAD, "policy.yaml:2: limits.tokens_per_hour: must be at least 1"),
            (b"", "policy.yaml: version: must be there"),
            (b"version: \xff", "the policy file must be UTF-8: invalid start byte"),
            (None, "the policy file cannot be read: No such file or directory"),
        ],
    )
    def test_a_bad_file_stops_the_start(
        self, disk: Disk, content: bytes | None, problem: str
    ) -> None:
        """There is no policy to fall back on: nothing falls back silently."""
        disk.content = content
        with pytest.raises(PolicyFileError) as refused:
            PolicyBook(disk.read, PARSE, lambda: disk.now)
        assert refused.value.problems == (problem,)


class TestChange:
    """A file that changes while policy runs."""

    async def test_a_good_change_is_in_force(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """Seen twice, it counts, and says since when."""
        disk.content, disk.now = TWO, NOW + 5_000
        assert await looks(book) == 2
        assert (book.loaded_at, book.rejected) == (NOW + 5_000, "")
        assert await looks(book, 5) == 2
        (line,) = logs
        assert (line["event"], line["digest"]) == ("policy loaded", book.current.digest)

    async def test_a_file_is_not_judged_while_it_is_written(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """Of a file that is different at each look, nothing is in force, nor said."""
        for content in (b"", TWO[:10], TWO[:30], TWO):
            disk.content = content
            assert await looks(book, 1) == 1
        assert logs == []
        assert await looks(book, 1) == 2

    async def test_a_bad_change_keeps_the_old_policy(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """It is said once, with what is wrong, what is in force, and for as long as it is so."""
        disk.content = BAD
        assert await looks(book, 10) == 1
        problem = "policy.yaml:2: limits.tokens_per_hour: must be at least 1"
        assert (book.rejected, book.loaded_at) == (problem, NOW)
        (line,) = logs
        assert (line["event"], line["log_level"]) == ("policy rejected", "warning")
        assert (line["problems"], line["in_force"]) == ((problem,), book.current.digest)
        disk.content = BAD + b" # still"
        await looks(book, 10)
        assert len(logs) == 2

    async def test_a_mended_file_is_in_force(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """After a bad file comes a good one; also if it is the old one again."""
        disk.content = BAD
        await looks(book)
        disk.content, disk.now = ONE, NOW + 9_000
        assert await looks(book) == 1
        assert (book.rejected, book.loaded_at) == ("", NOW)
        disk.content = TWO
        assert await looks(book) == 2
        assert [line["event"] for line in logs] == ["policy rejected", *["policy loaded"] * 2]

    async def test_a_vanished_file_keeps_the_old_policy(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """Said once; when it is back, its policy is in force without a restart."""
        disk.content = None
        assert await looks(book, 10) == 1
        assert book.rejected == "the policy file cannot be read: No such file or directory"
        disk.content = TWO
        assert await looks(book) == 2
        assert book.rejected == ""
        assert [line["event"] for line in logs] == ["policy rejected", "policy loaded"]

    async def test_a_file_that_is_gone_for_a_moment_is_not_missed(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """Between the deletion and the creation of an editor, nothing is said."""
        disk.content = None
        await looks(book, 1)
        disk.content = ONE
        await looks(book, 5)
        assert (logs, book.rejected) == ([], "")

    async def test_the_event_loop_reads_nothing(self, disk: Disk, book: PolicyBook) -> None:
        """A disk that hangs holds up no decision."""
        disk.readers.clear()
        await looks(book, 3)
        assert disk.readers
        assert threading.get_ident() not in disk.readers

    async def test_many_problems_are_not_all_logged(
        self, disk: Disk, book: PolicyBook, logs: list[MutableMapping[str, Any]]
    ) -> None:
        """A log line stays a line; how many there are is said."""
        disk.content = b"version: 1\n" + b"".join(b"x%d: 1\n" % n for n in range(500))
        await looks(book)
        (line,) = logs
        assert (len(line["problems"]), line["count"]) == (20, 500)

    async def test_watching_ends_when_it_is_told_to(self, book: PolicyBook) -> None:
        """The watch runs until it is cancelled."""
        watch = asyncio.create_task(book.watch())
        await asyncio.sleep(0)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch

    def test_reload(self, book: PolicyBook) -> None:
        """A text can be put in force by hand, and is judged alike."""
        assert book.reload(TWO.decode())
        assert book.current.default.limits.tokens_per_hour == 2
        assert not book.reload(BAD.decode())
        assert book.current.default.limits.tokens_per_hour == 2
        assert "tokens_per_hour" in book.rejected


class TestReader:
    """A real file."""

    def test_a_symbolic_link_is_followed_anew(self, tmp_path: Path) -> None:
        """A ConfigMap's swap is a change."""
        (tmp_path / "one").write_bytes(ONE)
        (tmp_path / "two").write_bytes(TWO)
        link = tmp_path / "policy.yaml"
        link.symlink_to(tmp_path / "one")
        read = reader(link)
        assert read() == ONE
        link.unlink()
        link.symlink_to(tmp_path / "two")
        assert read() == TWO

    def test_only_as_much_is_read_as_is_taken(self, tmp_path: Path) -> None:
        """A file without end is too long, and not held in memory."""
        file = tmp_path / "policy.yaml"
        file.write_bytes(b"#" * (MAX_BYTES * 3))
        assert len(reader(file)()) == MAX_BYTES + 1

    def test_what_is_no_file_is_not_read(self, tmp_path: Path) -> None:
        """A directory, or a pipe that would block, cannot be read."""
        with pytest.raises(OSError, match="no regular file"):
            reader(tmp_path)()
