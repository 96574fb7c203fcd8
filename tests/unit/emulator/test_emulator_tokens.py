"""Issuing and spending tokens, on a clock that only the test moves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulator.clock import Clock
from emulator.errors import InvalidPayload, Refusal
from emulator.tokens import TokenLedger

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    """Stand still at NOW until advanced."""
    return Clock(wall=lambda: NOW)


@pytest.fixture
def ledger(clock: Clock) -> TokenLedger:
    """Start without tokens."""
    return TokenLedger(clock)


def in_(**duration: float) -> str:
    """Return NOW plus a duration, as a client writes it."""
    return (NOW + timedelta(**duration)).isoformat()


def test_googles_defaults(ledger: TokenLedger) -> None:
    """A bare request gives one use, 60 seconds to start and 30 minutes to live."""
    token = ledger.issue({})
    assert token.uses == 1
    assert token.new_session_expire_time == NOW + timedelta(seconds=60)
    assert token.expire_time == NOW + timedelta(minutes=30)
    assert token.name.startswith("auth_tokens/")
    assert ledger.issue({}).name != token.name


@pytest.mark.parametrize(
    "body,field",
    [
        ({"uses": -1}, "auth_token.uses"),
        ({"expireTime": in_(seconds=-1)}, "auth_token.expire_time"),
        ({"expireTime": in_()}, "auth_token.expire_time"),
        ({"expireTime": in_(hours=20)}, "auth_token.expire_time"),
        ({"newSessionExpireTime": in_(seconds=-1)}, "auth_token.new_session_expire_time"),
        ({"newSessionExpireTime": in_(hours=20)}, "auth_token.new_session_expire_time"),
        ({"fieldMask": "tools.0"}, "field_mask"),
    ],
)
def test_values_out_of_range_are_refused(
    ledger: TokenLedger, body: dict[str, Any], field: str
) -> None:
    """A value out of range is refused and the field is named; no token comes into being."""
    with pytest.raises(InvalidPayload) as refused:
        ledger.issue(body)
    assert refused.value.field == field
    assert not list(ledger)


def test_just_under_twenty_hours_is_allowed(ledger: TokenLedger) -> None:
    """The limit of 20 hours is exclusive."""
    token = ledger.issue({"expireTime": in_(hours=20, seconds=-1)})
    assert list(ledger) == [token]


def test_a_token_opens_as_many_sessions_as_it_has_uses(ledger: TokenLedger) -> None:
    """After its last use a token is refused, and says why."""
    token = ledger.issue({"uses": 2})
    ledger.spend(token)
    assert token.uses_left == 1
    ledger.spend(token)
    with pytest.raises(Refusal, match=r"^Token has been used too many times$") as refused:
        ledger.spend(token)
    assert refused.value.code == 1011
    assert token.uses_left == 0


def test_zero_uses_means_unlimited(ledger: TokenLedger) -> None:
    """A token with `uses` 0 never runs out."""
    token = ledger.issue({"uses": 0})
    for _ in range(100):
        ledger.spend(token)
    assert token.uses_left is None


def test_an_expired_token_is_refused(ledger: TokenLedger, clock: Clock) -> None:
    """From its expiry on, and not before, a token is refused with 1011."""
    token = ledger.issue({"expireTime": in_(minutes=5)})
    clock.advance(timedelta(minutes=5, microseconds=-1))
    assert ledger.find(token.name) is token
    clock.advance(timedelta(microseconds=1))
    with pytest.raises(Refusal, match=r"^auth token has expired$") as refused:
        ledger.find(token.name)
    assert refused.value.code == 1011


def test_after_the_start_window_no_session_starts(ledger: TokenLedger, clock: Clock) -> None:
    """When the start window has closed the token is not spent; it is still known."""
    token = ledger.issue({})
    clock.advance(timedelta(seconds=60))
    assert ledger.find(token.name) is token
    with pytest.raises(Refusal) as refused:
        ledger.spend(token)
    assert refused.value.code == 1011
    assert token.used == 0


def test_an_unknown_token_is_nobody(ledger: TokenLedger) -> None:
    """A token that was never issued is as good as no credentials."""
    with pytest.raises(Refusal) as refused:
        ledger.find("auth_tokens/made-up")
    assert refused.value.code == 1008


def test_old_tokens_are_forgotten(ledger: TokenLedger, clock: Clock) -> None:
    """The ledger does not grow for ever: what expired long ago is dropped now and then."""
    for _ in range(999):
        ledger.issue({})
    clock.advance(timedelta(hours=2))
    newest = ledger.issue({})
    assert list(ledger) == [newest]
