"""Structured logs."""

import json
import logging
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import structlog

from serving import log_areas
from serving.logs import LogFormat, LogLevel, configure, redact


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level
    log_areas.switch((), logging.NOTSET)
    structlog.reset_defaults()


def fail(message: str) -> NoReturn:
    """Raise an error that says `message`."""
    raise ValueError(message)


def said(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what was written to standard error; nothing goes to standard output."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    captured = capfd.readouterr()
    assert captured.out == ""
    return captured.err


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines that were written, each parsed."""
    return [json.loads(line) for line in said(capfd).splitlines()]


def test_a_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    """What structlog and logging say is one line of JSON each, with service, level and time."""
    configure("policy", LogLevel.INFO, LogFormat.JSON)
    structlog.get_logger("ours").info("decision", outcome="reserved\nline two")
    logging.getLogger("theirs").warning("slow %s", "socket")
    ours, theirs = lines(capfd)
    assert (ours["service"], ours["level"], ours["event"]) == ("policy", "info", "decision")
    assert ours["outcome"] == "reserved\nline two"
    assert ours["timestamp"].endswith("Z")
    assert (theirs["service"], theirs["level"]) == ("policy", "warning")
    assert theirs["event"] == "slow socket"


def test_what_is_below_the_level_is_not_said(capfd: pytest.CaptureFixture[str]) -> None:
    """The level holds for structlog and logging alike."""
    configure("policy", LogLevel.WARNING, LogFormat.JSON)
    structlog.get_logger("ours").info("quiet")
    logging.getLogger("theirs").info("quiet")
    structlog.get_logger("ours").error("loud")
    assert [line["event"] for line in lines(capfd)] == ["loud"]


def test_a_token_is_redacted_wherever_it_stands(capfd: pytest.CaptureFixture[str]) -> None:
    """Messages, values at any depth, arguments and exceptions show no token."""
    configure("policy", LogLevel.INFO, LogFormat.JSON)
    secret = "auth_tokens/of-a-log"
    structlog.get_logger("ours").info(f"got {secret}", a=secret, b={"c": [secret, (secret,)]})
    logging.getLogger("theirs").warning("got %s", secret)
    try:
        fail(f"bad {secret}")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
        logging.getLogger("theirs").exception("failed")
    captured = said(capfd)
    assert "of-a-log" not in captured
    assert captured.count("auth_tokens/[redacted]") >= 7


def test_an_exception_in_a_terminal_shows_no_token(capfd: pytest.CaptureFixture[str]) -> None:
    """The form for people keeps the same secrets."""
    configure("policy", LogLevel.INFO, LogFormat.CONSOLE)
    try:
        fail("bad auth_tokens/of-a-log")
    except ValueError:
        structlog.get_logger("ours").exception("failed with auth_tokens/of-a-log")
    captured = said(capfd)
    assert "failed with" in captured
    assert "of-a-log" not in captured


def test_an_exception_is_told_without_its_locals(capfd: pytest.CaptureFixture[str]) -> None:
    """A traceback names where, not what the variables held."""
    configure("policy", LogLevel.INFO, LogFormat.JSON)

    def check(credential: str) -> None:
        fail(f"{len(credential)} characters")

    try:
        check("hunter2")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    (line,) = lines(capfd)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in json.dumps(line)


class Silent:
    """Must not be shown to anybody."""

    def __repr__(self) -> str:
        """Fail."""
        raise AssertionError("somebody asked")


def test_an_area_is_debugged_whatever_the_level(capfd: pytest.CaptureFixture[str]) -> None:
    """All of the areas that are on, and of the rest, those below them too, what the level has."""
    configure("policy", LogLevel.WARNING, LogFormat.JSON, debug=["policy"])
    names = ("policy.judge", "policy.redis.runner", "tokenservice.policy_client")
    for name in (*names, "tokenservice.issuer", "policy.__main__", "theirs"):
        structlog.get_logger(name).debug("debug", of=name)
        structlog.get_logger(name).info("info", of=name)
        structlog.get_logger(name).warning("warning", of=name)
    said = [(line["event"], line["of"]) for line in lines(capfd)]
    loud = {of for event, of in said if event == "debug"}
    assert loud == {of for event, of in said if event == "info"}
    assert loud == {"policy.judge", "tokenservice.policy_client"}
    assert len([event for event, _ in said if event == "warning"]) == 6


def test_an_area_that_is_off_does_not_even_look(capfd: pytest.CaptureFixture[str]) -> None:
    """A debug line that nobody wants is not put together."""
    configure("policy", LogLevel.INFO, LogFormat.JSON, debug=["identity"])
    structlog.get_logger("policy.judge").debug("x", secret=Silent())
    assert not log_areas.debugging("policy.judge")
    assert log_areas.debugging("tokenservice.identity.authenticator")
    assert lines(capfd) == []


def test_a_debug_line_names_its_area(capfd: pytest.CaptureFixture[str]) -> None:
    """So that one can be told from another; other lines do not."""
    configure("policy", LogLevel.INFO, LogFormat.JSON, debug=["store"])
    structlog.get_logger("policy.redis.runner").debug("x")
    structlog.get_logger("policy.redis.runner").info("y")
    debug, info = lines(capfd)
    assert debug["area"] == "store"
    assert "area" not in info


@pytest.mark.parametrize(
    "names, areas",
    [
        ((), ()),
        (("policy", "http", "policy"), ("policy", "http")),
        (("*",), tuple(log_areas.AREAS)),
        (("http", "*"), tuple(log_areas.AREAS)),
    ],
)
def test_areas_are_chosen_by_name(names: tuple[str, ...], areas: tuple[str, ...]) -> None:
    """Each counts once, and `*` is all of them."""
    assert log_areas.parse(names) == areas


def test_libraries_that_quote_urls_are_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """What would repeat requests and bodies is heard only on errors."""
    configure("policy", LogLevel.DEBUG, LogFormat.JSON)
    for name in ("aiohttp.access", "google_genai", "httpx", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).warning("GET /?key=of-a-log")
    assert lines(capfd) == []


def test_a_process_says_none_of_its_own_secrets(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever they look like, and whoever repeats them; a word of few letters stays a word."""
    configure("policy", LogLevel.INFO, LogFormat.JSON, ["no-pattern-knows-me", "key"])
    logging.getLogger("theirs").warning("the key no-pattern-knows-me is not valid")
    (line,) = lines(capfd)
    assert line["event"] == "the key [redacted] is not valid"
    configure("policy", LogLevel.INFO, LogFormat.JSON)


@pytest.mark.parametrize(
    "text, safe",
    [
        ("auth_tokens/abc", "auth_tokens/[redacted]"),
        ('{"name": "auth_tokens/a-b_c.d"}', '{"name": "auth_tokens/[redacted]"}'),
        ("?access_token=auth_tokens/abc&x=1", "?access_token=auth_tokens/[redacted]&x=1"),
        ("auth_tokens/a auth_tokens/b", "auth_tokens/[redacted] auth_tokens/[redacted]"),
        ("POST /v1beta/auth_tokens", "POST /v1beta/auth_tokens"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
        ("Bearer eyJh.eyJz.c2ln", "Bearer eyJ[redacted]"),
        ("dpop: eyJh.eyJz.c2ln", "dpop: eyJ[redacted]"),
        ("GET /live?access_token=abc&x=1", "GET /live?access_token=[redacted]&x=1"),
        ("GET /models?key=abc HTTP/1.1", "GET /models?key=[redacted] HTTP/1.1"),
        ("redis://policy:abc@127.0.0.1:6379/0", "redis://policy:[redacted]@127.0.0.1:6379/0"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----",
        ),
        ("a bearer of news", "a bearer of news"),
    ],
)
def test_only_the_secret_is_cut_out(text: str, safe: str) -> None:
    """What surrounds a token stays readable."""
    assert redact(text) == safe
