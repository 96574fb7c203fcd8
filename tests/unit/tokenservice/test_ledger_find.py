"""`tokenservice ledger find` answers who got a token, when, and why."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from ledger_rows import ASKED, CALLER, GRANT, KEY, SUBJECT, TOKEN, issued, row

from tokenservice.cli.ledger import ledger
from tokenservice.cli.store import BadSetting
from tokenservice.errors import RateLimitExceeded, UpstreamUnavailable
from tokenservice.ledger import ports, telling
from tokenservice.ledger.apart import ApartSink
from tokenservice.ledger.jsonl import JsonlSink
from tokenservice.ledger.names import Names
from tokenservice.ledger.rows import entry_of

if TYPE_CHECKING:
    from pathlib import Path

    from tokenservice.ledger.entry import Entry

NAMES = Names(KEY)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOUR = 3_600_000


def now() -> int:
    """Return the time, as the command does."""
    return time.time_ns() // 1_000_000


async def write(path: Path, rows: list[Entry]) -> None:
    """Write a ledger of several files."""
    refusals = path.with_name("ledger-refusals.jsonl")
    sink = ApartSink(
        *(
            JsonlSink(each, now, max_bytes=1_500, backups=10, retention_days=90)
            for each in (path, refusals)
        )
    )
    await sink.append(rows)
    await sink.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the environment says the ledger is."""
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setenv("TOKENSERVICE_LEDGER", str(path))
    monkeypatch.setenv("TOKENSERVICE_HASH_KEY", KEY.decode())
    return path


@pytest.fixture
def kept(path: Path) -> Path:
    """Write what became of three requests of ours, and of many others."""
    begin = now() - 2 * HOUR
    over: Any = RateLimitExceeded("", None, retry_after=None)  # type: ignore[arg-type]
    over.metadata["decision_id"] = "d-2"
    of_ours: dict[str, Any] = {"credential": "jwt", "caller": CALLER, "asked": ASKED}
    rows = [
        *(row(number, at=begin - HOUR + number, token="T") for number in range(100, 140)),
        entry_of(
            NAMES,
            now=begin,
            request_id="r-1",
            trace_id=TRACE,
            grant=GRANT,
            issued=issued(),
            **of_ours,
        ),
        *(row(number, at=begin + number, token="T") for number in range(200, 240)),
        entry_of(NAMES, now=begin + HOUR, request_id="ann@example.com", error=over, **of_ours),
        entry_of(NAMES, now=begin + HOUR + 1, error=UpstreamUnavailable(), **of_ours),
    ]
    asyncio.run(write(path, rows))
    assert path.with_name("ledger.jsonl.3").exists()
    return path


def run(*arguments: str, written: str = "") -> Any:
    """Run the command; a failure is raised."""
    result = CliRunner().invoke(ledger, ["find", *arguments], input=written, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def rows_of(result: Any) -> list[Any]:
    """Return what was printed as JSON."""
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("kept")
def test_a_token_tells_who_got_it() -> None:
    """A token, written to standard input, finds the one row that says whose it is, and when."""
    result = run("--token", "-", written=f"{TOKEN}\n")
    assert (result.return_value, result.stderr) == (0, "")
    assert f"User {NAMES.user(SUBJECT)} was issued a token for gemini-3.8-live" in result.stdout
    assert "(2 h ago): issued" in result.stdout
    assert "proved by a JWT, asked for by the service scheduler, tier gold" in result.stdout
    assert f"decision d-1, request r-1, trace {TRACE}" in result.stdout
    assert "canary" not in result.stdout


@pytest.mark.usefixtures("kept")
def test_a_token_without_its_prefix_is_the_same() -> None:
    """What is behind `auth_tokens/` is enough, and as an argument it is warned of."""
    result = run("--token", TOKEN.removeprefix("auth_tokens/"), "--json")
    assert [found["decision_id"] for found in rows_of(result)] == ["d-1"]
    assert "can see --token" in result.stderr


@pytest.mark.usefixtures("kept")
def test_a_user_tells_what_became_of_each_request() -> None:
    """A subject, and its pseudonym likewise, finds all its rows, the newest first."""
    for arguments in (["--user", SUBJECT], ["--user-pseudonym", NAMES.user(SUBJECT)]):
        rows = rows_of(run(*arguments, "--json"))
        assert [found["outcome"] for found in rows] == ["failed", "refused", "issued"]
    text = run("--user", "-", written=SUBJECT).stdout
    assert "was refused a token: RATE_LIMIT_EXCEEDED, a limit on tokens was met." in text
    assert "could not be issued a token: UPSTREAM_UNAVAILABLE, Gemini did not make one." in text
    assert text.count("\n\n") == 2


@pytest.mark.usefixtures("kept")
def test_what_answers_and_logs_name_is_found() -> None:
    """A decision, a request, hidden or not, and a trace find their row."""
    for arguments, outcome in (
        (["--decision", "d-2"], "refused"),
        (["--request", "r-1"], "issued"),
        (["--request", "ann@example.com"], "refused"),
        (["--trace", TRACE.upper()], "issued"),
    ):
        (found,) = rows_of(run(*arguments, "--json"))
        assert found["outcome"] == outcome


@pytest.mark.usefixtures("path")
def test_a_subject_on_standard_input_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the end of its line: another subject is another user."""
    asked: list[ports.Query] = []

    async def note(_settings: Any, query: ports.Query, **_more: Any) -> int:
        asked.append(query)
        return 1

    monkeypatch.setattr("tokenservice.cli.ledger._print", note)
    for written in (" ann \r\n", "auth_tokens/T \n"):
        option = "--token" if written.startswith("auth") else "--user"
        CliRunner().invoke(ledger, ["find", option, "-"], input=written, catch_exceptions=False)
    assert asked[0].user == NAMES.user(" ann ")
    assert asked[1].token == NAMES.token("auth_tokens/T")


@pytest.mark.usefixtures("kept")
def test_time_and_number_bound_a_search() -> None:
    """`--since` and `--limit` leave out what is older, and more."""
    assert len(rows_of(run("--since", "1h30m", "--json"))) == 2
    assert len(rows_of(run("--since", "2020-01-01T00:00:00Z", "--limit", "1000", "--json"))) == 83
    assert len(rows_of(run("--json"))) == 20
    assert len(rows_of(run("--user", SUBJECT, "--since", "90m", "--json"))) == 2


@pytest.mark.usefixtures("kept")
def test_nothing_found_is_exit_code_3() -> None:
    """A search without a row says so, on standard error, by words and code."""
    result = run("--token", "-", written="auth_tokens/another\n")
    assert (result.return_value, result.stdout, result.stderr) == (3, "", "No rows.\n")


def test_torn_lines_are_passed_over(kept: Path) -> None:
    """Half a line, in whichever file, hides no row."""
    for file in kept.parent.glob("ledger*.jsonl*"):
        file.write_bytes(b'{"v":1,"id\n' + file.read_bytes() + b'{"v":1,"dec')
    assert len(rows_of(run("--user", SUBJECT, "--json"))) == 3


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "ann", "--user-pseudonym", "U"],
        ["--since", "yesterday"],
        ["--since", "2026-01-31T12:00:00"],
        ["--limit", "0"],
        ["--token", "-"],
    ],
)
def test_a_search_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    """What cannot be meant is a usage error."""
    with pytest.raises(click.UsageError):
        run(*arguments)


def test_files_of_tokens_can_be_searched_alone(kept: Path) -> None:
    """What was copied elsewhere without its refusals is a ledger too."""
    kept.with_name("ledger-refusals.jsonl").unlink()
    assert [found["outcome"] for found in rows_of(run("--user", SUBJECT, "--json"))] == ["issued"]


def test_no_file_is_said(path: Path) -> None:
    """A ledger that is not there is an error, and not an empty one."""
    with pytest.raises(click.ClickException, match=f"there is no ledger at {path}"):
        run()


@pytest.mark.parametrize(
    "unset, name",
    [
        ("TOKENSERVICE_HASH_KEY", "TOKENSERVICE_HASH_KEY"),
        ("TOKENSERVICE_LEDGER", "TOKENSERVICE_LEDGER"),
    ],
)
@pytest.mark.usefixtures("path")
def test_settings_that_miss_are_named(
    monkeypatch: pytest.MonkeyPatch, unset: str, name: str
) -> None:
    """Without a ledger, or the key of its names, the command says which variable it needs."""
    monkeypatch.delenv(unset)
    with pytest.raises(BadSetting, match=name):
        run()


def test_a_row_of_a_later_version_is_told_too() -> None:
    """Outcomes and reasons that are not known are shown as they stand; nothing moves a cursor."""
    text = telling.told(row(1, outcome="revoked", reason="LOST\x1b[2J", user="U"), 1)
    assert "User U: LOST?[2J." in text


def test_a_token_that_was_not_delivered_says_so() -> None:
    """A caller who hung up is told from one who has the token; a repeat, from a charge."""
    left = row(1, user="U", reason="CALLER_LEFT", expires_at=2)
    assert "The answer did not go out: CALLER_LEFT, the caller hung up" in telling.told(left, 1)
    again = row(1, outcome="repeated", user="U", expires_at=2)
    assert "again: the same request had been issued it before" in telling.told(again, 1)
