"""The decision log keeps whole lines, and gets in nobody's way."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from policy.decision_log import DecisionLog, Stream, decision_log
from policy.effective import EffectivePolicy
from policy.explain import Explainer
from policy.judge import Judge
from policy.memory import MemoryStore
from policy.service import PolicyService
from policy.v1 import policy_pb2 as pb
from serving import tracing
from serving.process import StartError
from serving.pseudonym import Pseudonyms
from serving.rotating import RotatingFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY = {"v": 1, "event": "decision", "user": "u" * 16}
LINE = len(json.dumps(ENTRY, separators=(",", ":"))) + 1


def lines(path: Path) -> list[Any]:
    """Return what a log holds."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@contextmanager
def file_size_limit(most: int) -> Iterator[None]:
    """Let the system refuse what would make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


class StuckSink:
    """A reader that does not read until it is told to."""

    def __init__(self) -> None:
        """Be stuck."""
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.kept: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Wait, then keep a line."""
        self.begun.set()
        self.go_on.wait()
        self.kept.append(line)

    def close(self) -> None:
        """Do nothing."""


def test_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a target no file is made and no thread started."""
    monkeypatch.chdir(tmp_path)
    before = threading.active_count()
    with decision_log("") as recorder:
        recorder.write(ENTRY)
        assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """`stdout` gets a line an entry, all of them by the end."""
    with decision_log("stdout") as recorder:
        for number in range(500):
            recorder.write(ENTRY | {"at": number})
    written = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert written == [ENTRY | {"at": number} for number in range(500)]


def test_an_entry_names_its_trace(tmp_path: Path) -> None:
    """What is written while a request is served has its trace id; what is not, has none."""
    path = tmp_path / "decisions.jsonl"
    parent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    with decision_log(str(path)) as recorder:
        recorder.write(ENTRY)
        with tracing.server_span("rpc", parent):
            recorder.write(ENTRY)
    assert lines(path) == [ENTRY, {**ENTRY, "trace_id": "a" * 32}]


def test_a_file_is_appended_to_and_is_nobody_elses(tmp_path: Path) -> None:
    """A file has mode 0600, whatever it had, and keeps what it held; its directory is made."""
    path = tmp_path / "log" / "decisions.jsonl"
    for _ in range(2):
        with decision_log(str(path)) as recorder:
            recorder.write(ENTRY)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert lines(path) == [ENTRY, ENTRY]


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_a_full_file_is_rotated(tmp_path: Path, backups: int) -> None:
    """No file exceeds its size, no more of them are kept than told, none loses a line."""
    path = tmp_path / "decisions.jsonl"
    with decision_log(str(path), max_bytes=3 * (LINE + 10), backups=backups) as recorder:
        for number in range(20):
            recorder.write(ENTRY | {"at": 1000 + number})
    files = [path, *(tmp_path / f"decisions.jsonl.{n}" for n in range(1, backups + 1))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    kept = [entry["at"] for file in reversed(files) for entry in lines(file)]
    assert kept == list(range(1020 - len(kept), 1020))
    assert len(kept) == 2 + 3 * backups
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_an_entry_longer_than_a_file_is_kept(tmp_path: Path) -> None:
    """A size that is too small for a line loses no line."""
    path = tmp_path / "decisions.jsonl"
    with decision_log(str(path), max_bytes=10, backups=1) as recorder:
        recorder.write(ENTRY)
        recorder.write(ENTRY)
    assert lines(path) == [ENTRY]
    assert lines(tmp_path / "decisions.jsonl.1") == [ENTRY]


def test_a_line_that_a_crash_tore_spoils_no_other(tmp_path: Path) -> None:
    """What follows half a line begins on a line of its own."""
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"v":1,"eve')
    with decision_log(str(path)) as recorder:
        recorder.write(ENTRY)
    assert path.read_text().splitlines()[1:] == [json.dumps(ENTRY, separators=(",", ":"))]


def test_two_processes_do_not_share_a_file(tmp_path: Path) -> None:
    """A file that is being written stops the start of another writer, which says so."""
    path = str(tmp_path / "decisions.jsonl")
    with (
        decision_log(path),
        pytest.raises(StartError, match="another process"),
        decision_log(path),
    ):
        pass


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """A directory, a pipe and a place under a file are refused in one line."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "file" / "log", tmp_path / "pipe"):
        with pytest.raises(StartError, match=r"^cannot write .+: .+$"), decision_log(str(path)):
            pass


def test_a_full_disk_loses_entries_and_no_line(tmp_path: Path, clock: Any) -> None:
    """What cannot be written is counted, said once a minute, and over when it is over."""
    path = tmp_path / "decisions.jsonl"
    recorder = DecisionLog(RotatingFile(path, 10**6, 1), clock=lambda: clock.now / 1000)
    with structlog.testing.capture_logs() as logged:
        recorder.write(ENTRY)
        recorder._queue.join()
        with file_size_limit(LINE + LINE // 2):  # half of the next one fits
            for _ in range(3):
                recorder.write(ENTRY)
                recorder._queue.join()
            clock.now += 60_000
            recorder.write(ENTRY)
            recorder._queue.join()
        recorder.write(ENTRY)
        recorder.close()
    said = [(line["event"], line["dropped"]) for line in logged]
    assert said == [
        ("decision log drops entries", 1),
        ("decision log drops entries", 4),
        ("decision log keeps entries again", 4),
    ]
    assert lines(path) == [ENTRY, ENTRY]


def test_nobody_waits_for_a_reader(clock: Any) -> None:
    """While nothing can be written, entries beyond the queue are dropped, without waiting."""
    sink = StuckSink()
    recorder = DecisionLog(sink, capacity=3, clock=lambda: clock.now / 1000)
    with structlog.testing.capture_logs() as logged:
        recorder.write(ENTRY)
        sink.begun.wait()
        for _ in range(10):
            recorder.write(ENTRY)
        sink.go_on.set()
        recorder.close()
    assert len(sink.kept) == 4
    assert [(line["event"], line["dropped"]) for line in logged] == [
        ("decision log drops entries", 1),
        ("decision log keeps entries again", 7),
    ]


def test_a_stop_waits_only_so_long() -> None:
    """A reader that is stuck does not hold up the stop; what waits for it is counted."""
    sink = StuckSink()
    recorder = DecisionLog(sink, capacity=2)
    with structlog.testing.capture_logs() as logged:
        recorder.write(ENTRY)
        sink.begun.wait()
        recorder.write(ENTRY)
        recorder.write(ENTRY)
        recorder.close(seconds=0.01)
    assert logged[-1] == {"event": "decision log ends", "dropped": 2, "log_level": "warning"}
    sink.go_on.set()


def test_what_is_no_json_is_dropped() -> None:
    """An entry that no line can be made of is counted, and the next one is kept."""
    sink = StuckSink()
    sink.go_on.set()
    recorder = DecisionLog(sink)
    with structlog.testing.capture_logs() as logged:
        recorder.write({"v": object()})
        recorder.write({"v": float("nan")})
        recorder.write(ENTRY)
        recorder.close()
    assert len(sink.kept) == 1
    assert logged[0]["cause"] == "TypeError: no line can be made of an entry"


def test_a_reader_that_is_gone_is_no_error() -> None:
    """Standard output that was closed loses entries, and nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    recorder = DecisionLog(Stream(writing))
    with structlog.testing.capture_logs() as logged:
        recorder.write(ENTRY)
        recorder.close()
    os.close(writing)
    assert logged[0]["cause"] == "Broken pipe"


CANARIES = ("canary-subject", "203.0.113.77", "2001:db8", "canary-request", "canary-model")


async def test_the_log_names_nobody(tmp_path: Path, clock: Any) -> None:
    """Whatever is asked of the real service, the log parses and holds no name it was told."""

    class Book:
        current = EffectivePolicy()

    path = tmp_path / "decisions.jsonl"
    store = MemoryStore(clock, lease_ms=30_000)
    with decision_log(str(path)) as recorder:
        service: Any = PolicyService(
            Judge(store, Book()),
            Explainer(store, Book()),
            Pseudonyms(b"k" * 32),
            recorder,
            clock,
        )
        key = pb.ReservationKey(
            subject="canary-subject", request_id="canary-request", owner=b"ownerown"
        )
        client = pb.Client(address="203.0.113.77", http_headers=pb.HttpHeaders(names=["origin"]))
        content = pb.Content(model="canary-model", system_instruction="eval(canary-model)")
        for address in ("203.0.113.77", "2001:db8::1", ""):
            where = pb.Client(address=address)
            asked: dict[str, Any] = {"key": key, "fingerprint": b"f", "count": 1}
            tier = "canary-subject@example.com"
            await service.Reserve(pb.ReserveRequest(client=where, tier=tier, **asked), None)
            await service.Reserve(pb.ReserveRequest(client=client, **asked), None)
            await service.Reserve(pb.ReserveRequest(content=content, **asked), None)
            await service.Release(pb.ReleaseRequest(key=key, ambiguous=True), None)
            for outcome in (
                pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
                pb.ReportRequest.OUTCOME_REQUEST_REJECTED,
            ):
                report = pb.ReportRequest(
                    outcome=outcome, subject="canary-subject", client=where, content=content
                )
                await service.Report(report, None)
    entries = lines(path)
    assert {entry["event"] for entry in entries} == {"decision", "release", "rejected"} | {
        "credentials"
    }
    text = path.read_text("utf-8")
    assert [canary for canary in CANARIES if canary in text] == []
