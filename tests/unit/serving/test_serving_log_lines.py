"""Whatever is logged, every event is one line, and every line parses."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings, strategies as st

from serving.log_values import MAX_CHARS, MAX_LINE_BYTES, plain, text
from serving.logs import LogLevel, _console, _json, _Lines
from serving.redacting import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

POISON = [
    "\r\n",
    "\n",
    "\x1b[2J",
    "\u2028",
    "\u2029",
    "\x85",
    "\ud800",
    "\x7f",
    "\u202e",
    "\x00",
    '"}',
]


class Unshowable:
    """Fails when it is shown."""

    def __repr__(self) -> str:
        """Fail."""
        raise ZeroDivisionError


def any_text() -> st.SearchStrategy[str]:
    """Return text of any characters, those that are none included, more often the worst."""
    characters = st.text(st.characters(exclude_categories=()), max_size=40)
    return st.lists(characters | st.sampled_from(POISON), max_size=5).map("".join)


def any_value() -> st.SearchStrategy[Any]:
    """Return what somebody might log."""
    leaves: st.SearchStrategy[Any] = (
        any_text()
        | st.none()
        | st.booleans()
        | st.integers()
        | st.builds(pow, st.just(10), st.just(5_000))
        | st.floats()
        | st.binary(max_size=20)
        | st.builds(Unshowable)
        | st.sampled_from(
            ["x" * 1_000_000, "\U0001f600" * 50_000, LogLevel.INFO, ValueError("\x1b")]
        )
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(any_text() | st.integers() | st.none(), inner, max_size=4)
            | st.tuples(inner)
        ),
        max_leaves=10,
    )


def records(event: str, fields: dict[str, Any], error: str) -> Iterator[logging.LogRecord]:
    """Yield records of ours and of a library, some with an error, and one that is broken."""
    try:
        raise ValueError(error)  # noqa: TRY301 - it is what is told
    except ValueError as failed:
        caught = (ValueError, failed, failed.__traceback__)

    def record(message: Any, *values: Any, exc_info: Any = None) -> logging.LogRecord:
        return logging.LogRecord("x", logging.INFO, "", 0, message, values, exc_info)

    yield record({**fields, "event": event})
    yield record({**fields, "event": event, "exc_info": caught})
    yield record("%s", event)
    yield record("%s", event, exc_info=caught)
    yield record("%d of %s", event)


def no_constant(name: str) -> NoReturn:
    """Refuse what Python takes for JSON, and nobody else."""
    raise ValueError(name)


def parsed(line: str) -> dict[str, Any]:
    """Return the event of a line, as a strict parser reads it."""
    assert all(0x20 <= ord(c) < 0x7F for c in line)
    assert len(line) <= MAX_LINE_BYTES
    event: dict[str, Any] = json.loads(line, parse_constant=no_constant)
    json.dumps(event, ensure_ascii=False).encode()  # no half of a surrogate pair
    return event


FIELDS = st.dictionaries(
    st.sampled_from(["reason", "cause", "name", "level", "service", "timestamp", "trace_id"]),
    any_value(),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(event=any_text(), fields=FIELDS, error=any_text())
def test_every_line_parses(event: str, fields: dict[str, Any], error: str) -> None:
    """There are as many lines as events, each ASCII, of bounded length, and strict JSON."""
    lines = _Lines("policy", _json)
    events = [parsed(lines.format(record)) for record in records(event, fields, error)]
    assert {each["service"] for each in events} == {"policy"}
    assert {each["level"] for each in events} == {"info"}
    shown = re.sub("[\ud800-\udfff]", "\ufffd", redact(event))
    assert [each["event"] for each in events] == [shown] * 4 + ["not a log line"]
    assert [each["exception"][0]["exc_type"] for each in events if "exception" in each] in (
        ["ValueError"] * 2,
        ["ValueError"],  # fields that leave no room for more
    )


@settings(max_examples=100, deadline=None)
@given(event=any_text(), fields=FIELDS, error=any_text())
def test_nothing_moves_a_terminals_cursor(event: str, fields: dict[str, Any], error: str) -> None:
    """For people, each event is one line too, and what it holds is printable."""
    lines = _Lines("policy", _console(terminal=False))
    for record in records(event, fields, error):
        first, *more = lines.format(record).split("\n")
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3}Z policy {7}info", first)
        assert first.isprintable()
        assert all(line.startswith("    | ") and line.isprintable() for line in more)
        assert bool(more) == bool(record.exc_info or "exc_info" in record.msg)


def test_a_text_of_a_megabyte_is_cut() -> None:
    """It says how long it was, and is looked through for secrets before it is cut."""
    shown = plain({"a": "y" * 1_000_000, "b": "?key=" + "z" * 1_000_000})
    assert shown["a"] == "y" * MAX_CHARS + "…[1000000 characters]"
    assert "zz" not in shown["b"]


@pytest.mark.parametrize("at", [MAX_CHARS - 10, MAX_CHARS - 1, MAX_CHARS, MAX_CHARS + 5, 18_000])
@pytest.mark.parametrize(
    "secret",
    ["AIza" + "k" * 40, "eyJhbGciOiJIUzI1NiJ9." + "cGF5" * 900 + ".c2ln", "a://me:hunterhunter@x"],
)
def test_no_cut_goes_through_a_secret(secret: str, at: int) -> None:
    """A secret that is cut in half is not to be taken for something else."""
    shown = text(" " * at + secret + " " * 30_000, MAX_CHARS)
    for part in ("kkk", "cGF5", "hunter"):
        assert part not in shown


@pytest.mark.parametrize(
    "piece", ["eyJ", "eyJa.", "bearer ", "bearer", "://a:", "AIza", "ltk_", "?key=", "auth_tokens/"]
)
def test_redacting_takes_time_in_proportion(piece: str) -> None:
    """No text keeps the process busy: 64 times as long does not take 4,096 times as long."""

    def seconds(size: int) -> float:
        said = (piece * size)[:size]
        started = time.thread_time()
        redact(said)
        return time.thread_time() - started

    seconds(1_000)
    short = max(1e-4, min(seconds(16_000 + each) for each in range(5)))
    assert min(seconds(1_024_000 + each) for each in range(2)) < 16 * 64 * short


@pytest.mark.parametrize(
    "said, shown",
    [
        ("eyJhbGciOiJIUzI1NiJ9", "eyJ[redacted]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4i", "eyJ[redacted]"),
        ("eyJ.", "eyJ."),
    ],
)
def test_a_part_of_a_jwt_is_redacted(said: str, shown: str) -> None:
    """Cut off anywhere behind its beginning, its header and claims are still somebody's."""
    assert redact(said) == shown
