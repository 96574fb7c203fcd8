"""A pytest plugin: a test in which a secret gets where none may be seen fails.

Searched are: each log record, before any formatter redacts it; each span that ends;
each refusal as a caller would read it; what a test run and its processes write to
standard error; and what an OTLP receiver of the tests is sent. Secrets are learnt
where they are made: tokens, JWTs, API keys, secret settings, the environments of processes.

`@pytest.mark.shows_secrets` is for tests of the net itself, which lets some through.
"""

from __future__ import annotations

import logging
import subprocess
import traceback
from functools import wraps
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import structlog
from opentelemetry.sdk import trace as otel_trace
from pydantic import SecretStr
from secrets_watch import WATCH

from gateway.refusal import Refusal
from serving import rendering
from tokenservice.identity import key_text
from tokenservice.token import EphemeralToken

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MARK = "shows_secrets"
_READ = "standard error, as the test read it"


def pytest_configure(config: pytest.Config) -> None:
    """Begin to learn and to look."""
    config.addinivalue_line("markers", f"{MARK}: secrets go through here on purpose")
    _learn()
    _listen()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """See nothing of a test that shows secrets on purpose."""
    if item.get_closest_marker(MARK):
        with WATCH.blind():
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Fail a test at its end, once for all that it let out."""
    report = yield
    if call.when == "teardown":
        for title, content in report.sections:
            if title.startswith("Captured stderr"):
                WATCH.look("standard error", content)
        if WATCH.leaks:
            seen = dict.fromkeys(map(str, WATCH.leaks))
            report.outcome = "failed"
            report.longrepr = "\n".join([f"{item.nodeid} showed a secret:", *seen])
            WATCH.leaks.clear()
    return report


def _learn() -> None:
    """Know each secret when it is made."""
    _after(
        EphemeralToken, "__init__", lambda _, token, *__, **___: WATCH.know("a token", token._value)
    )
    _after(
        SecretStr,
        "__init__",
        lambda _, secret, *__, **___: WATCH.know("a setting", secret.get_secret_value()),
    )
    _after(jwt.PyJWS, "encode", lambda encoded, *_, **__: WATCH.know("a JWT", encoded))
    # Its id is public: logs name a key by it.
    _after(key_text, "new_text", lambda key: WATCH.know("an API key", key.rpartition("_")[2]))
    popen: Any = subprocess.Popen
    _after(popen, "__init__", lambda *_, **given: WATCH.know_environment(given.get("env") or {}))


def _listen() -> None:
    """Look at each thing that goes out, before it does."""
    _before(logging.Logger, "callHandlers", _record)
    _before(structlog.BoundLoggerBase, "_process_event", _event)
    _before(otel_trace.Span, "end", lambda span, *_, **__: WATCH.look("a span", span.to_json()))
    _before(
        rendering,
        "status_details",
        lambda error: WATCH.look("a status", error.message, error.metadata, vars(error)),
    )
    _after(Refusal, "body", lambda body, *_: WATCH.look("an HTTP answer", body))
    _after(
        pytest.CaptureFixture,
        "readouterr",
        lambda captured, *_: WATCH.look(_READ, captured.err),
    )
    popen: Any = subprocess.Popen
    _after(popen, "communicate", lambda said, *_, **__: WATCH.look(_READ, said[1] or ""))


def _record(_logger: logging.Logger, record: logging.LogRecord) -> None:
    shown = [record.getMessage(), record.msg, vars(record).get("_record", "")]
    if record.exc_info and record.exc_info[1] is not None:
        shown.append("".join(traceback.format_exception(record.exc_info[1])))
    WATCH.look(f"a log record of {record.name}", *shown)


def _event(bound: Any, _method: str, event: Any, fields: dict[str, Any]) -> None:
    WATCH.look("a log event", event, fields, bound._context)


def _before(owner: Any, name: str, look: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def looking(*args: Any, **kwargs: Any) -> Any:
        look(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, looking)


def _after(owner: Any, name: str, look: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def looking(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        look(result, *args, **kwargs)
        return result

    setattr(owner, name, looking)
