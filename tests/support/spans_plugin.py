"""A pytest plugin: a test in which a span says what no span may say fails.

Looked at is each span that ends in this process, sampled or kept at its end: its
attributes are those that serving.tracing names, and its name is made of them, so
that neither can be a caller's own words.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk import trace as otel_trace
from secrets_watch import WATCH

from serving import tracing
from serving.late_spans import LateSpans

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

MARK = "says_anything"
_MOST_CHARS = 256
_WORDS = re.compile(r"[a-z]+(?:_[a-z]+)*")
_GEMINI = frozenset({"POST auth_tokens", "GET models"})

KEYS = frozenset(
    value for name, value in vars(tracing).items() if name.isupper() and isinstance(value, str)
)
"""The attributes that there are."""

_wrong: list[str] = []


def wrong(name: str, said: Mapping[str, Any]) -> list[str]:
    """Return what a span of that name and these attributes should not say."""
    found = [f"attribute {key}" for key in said if key not in KEYS]
    found += [
        f"a long {key}"
        for key, value in said.items()
        if isinstance(value, str) and len(value) > _MOST_CHARS
    ]
    names = _names(said)
    if names is not None and name not in names:
        found.append(f"name {name}")
    return found


def _names(said: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names that a span with these attributes may have; None: it is a test's own."""
    if tracing.GEN_AI_OPERATION in said:
        return _GEMINI
    if tracing.RPC_METHOD in said:
        return frozenset({said[tracing.RPC_METHOD]})
    if tracing.DB_OPERATION in said:
        operation = said[tracing.DB_OPERATION]
        return frozenset({operation} if _WORDS.fullmatch(operation) else ())
    if tracing.HTTP_METHOD in said:
        method, route = said[tracing.HTTP_METHOD], said.get(tracing.HTTP_ROUTE)
        known = "HTTP" if method == "_OTHER" else method
        return frozenset({f"{known} {route}" if route else known})
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Begin to look."""
    config.addinivalue_line("markers", f"{MARK}: a span says something else here on purpose")
    _before(otel_trace.Span, "end", lambda span: _look(span.name, span.attributes or {}))
    _before(LateSpans, "keep", lambda _, notes: _look_late(notes.name, notes.attributes))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Fail a test at its end, once for all that its spans said."""
    report = yield
    if call.when == "teardown":
        if _wrong and not item.get_closest_marker(MARK):
            report.outcome = "failed"
            report.longrepr = "\n".join([f"{item.nodeid}: a span says", *dict.fromkeys(_wrong)])
        _wrong.clear()
    return report


def _look(name: str, said: Mapping[str, Any]) -> None:
    _wrong.extend(wrong(name, said))


def _look_late(name: str, said: Mapping[str, Any]) -> None:
    WATCH.look("a span", name, said)
    _look(name, said)


def _before(owner: Any, name: str, look: Any) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def looking(*args: Any, **kwargs: Any) -> Any:
        look(*args[: look.__code__.co_argcount])
        return original(*args, **kwargs)

    setattr(owner, name, looking)
