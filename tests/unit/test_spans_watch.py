"""The net that every test's spans go through: it catches what a span may not say."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from span_tap import tapped
from spans_plugin import KEYS, MARK, _wrong, wrong

from serving import tracing

DB = {tracing.DB_SYSTEM: "redis", tracing.DB_OPERATION: "reserve"}
HTTP = {tracing.HTTP_METHOD: "POST", tracing.HTTP_ROUTE: "/api/v1/live-token"}


@pytest.mark.parametrize(
    "name, said",
    [
        ("reserve", DB),
        ("POST /api/v1/live-token", HTTP),
        ("POST", {tracing.HTTP_METHOD: "POST"}),
        ("HTTP", {tracing.HTTP_METHOD: "_OTHER"}),
        ("a.B/C", {tracing.RPC_METHOD: "a.B/C"}),
        ("POST auth_tokens", {tracing.GEN_AI_OPERATION: "create_auth_token"}),
        ("anything without attributes", {}),
    ],
)
def test_what_a_span_may_say(name: str, said: dict[str, Any]) -> None:
    """Names that are made of known attributes."""
    assert wrong(name, said) == []


@pytest.mark.parametrize(
    "name, said",
    [
        ("reserve", DB | {"db.query.text": "GET lt:{ann}"}),
        ("reserve lt:{ann}", DB),
        ("GET lt:{ann}", DB | {tracing.DB_OPERATION: "GET lt:{ann}"}),
        ("POST /api/v1/live-token?key=1", HTTP),
        ("POST /ann", {tracing.HTTP_METHOD: "POST"}),
        ("POST /ann", HTTP | {"url.path": "/ann"}),
        ("a.B/C", {tracing.RPC_METHOD: "a.B/D"}),
        ("POST auth_tokens/1", {tracing.GEN_AI_OPERATION: "create_auth_token"}),
        ("served", {tracing.USER_HASH: "x" * 300}),
    ],
)
def test_what_it_may_not(name: str, said: dict[str, Any]) -> None:
    """Attributes that nobody named, and names that hold more than attributes do."""
    assert wrong(name, said)


def test_the_known_attributes_are_known() -> None:
    """They are dotted names, and as many as the module has."""
    assert len(KEYS) > 25
    assert all("." in key for key in KEYS)


def _say_secretly() -> list[str]:
    with tracing.server_span("served", {}) as span:
        span.set_attribute("user.name", "ann")
        tracing.want(span)
    found = list(_wrong)
    _wrong.clear()
    return found


@pytest.mark.parametrize("sampled", [True, False])
def test_each_span_of_a_test_is_looked_at(*, sampled: bool) -> None:
    """Sampled, or kept at its end."""
    with tapped(**({"sampler": ALWAYS_ON} if sampled else {})) as tap:  # type: ignore[arg-type]
        assert _say_secretly() == ["attribute user.name"]
        assert tap.names == ["served"]


@pytest.mark.says_anything
def test_a_test_may_ask_to_be_let_alone() -> None:
    """By its mark: this one would fail else."""
    with tapped(ALWAYS_ON), tracing.server_span("served", {}) as span:
        span.set_attribute("user.name", "ann")
    assert MARK == "says_anything"
