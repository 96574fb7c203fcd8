"""Who may open a live session, and what it costs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulator.admission import Credentials, Door
from emulator.clock import Clock
from emulator.errors import Refusal
from emulator.resumption import Handles
from emulator.tokens import Token, TokenLedger

MODEL: dict[str, Any] = {"model": "models/gemini-3.8-live"}


@pytest.fixture
def clock() -> Clock:
    """Stand still until advanced."""
    return Clock(wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def door(clock: Clock) -> Door:
    """Guard an emulator with the key `right`."""
    return Door(api_key="right", tokens=TokenLedger(clock), handles=Handles(clock))


def holding(token: Token) -> Credentials:
    """Present a token."""
    return Credentials(token=token.name, api_key=None)


def test_credentials_are_found_where_the_sdks_put_them() -> None:
    """Tokens come in the query or after `Token`; keys in the query or their own header."""
    assert Credentials.read({}, {"access_token": "t"}).token == "t"
    assert Credentials.read({"Authorization": "Token t"}, {}).token == "t"
    assert Credentials.read({"Authorization": "Bearer t"}, {}).token is None
    assert Credentials.read({}, {"key": "k"}).api_key == "k"
    assert Credentials.read({"x-goog-api-key": "k"}, {}).api_key == "k"


def test_a_refused_setup_costs_no_use(door: Door) -> None:
    """A use is taken last of all, when nothing else can refuse."""
    token = door.tokens.issue({})
    with pytest.raises(Refusal):
        door.admit_with_token(holding(token), {"model": "models/unknown"}, "v1beta")
    assert token.used == 0
    assert door.admit_with_token(holding(token), MODEL, "v1beta").setup == MODEL
    assert token.used == 1


def test_resuming_costs_no_use(door: Door, clock: Clock) -> None:
    """A used-up token resumes its session, also after the start window, until it expires."""
    token = door.tokens.issue({"bidiGenerateContentSetup": {**MODEL, "sessionResumption": {}}})
    first = door.admit_with_token(holding(token), {}, "v1beta")
    handle = door.handles.issue(first.session)
    clock.advance(timedelta(minutes=10))
    resuming = {"sessionResumption": {"handle": handle}}
    resumed = door.admit_with_token(holding(token), resuming, "v1beta")
    assert (resumed.session, resumed.resumed) == (first.session, True)
    assert token.used == 1
    clock.advance(timedelta(minutes=20))
    with pytest.raises(Refusal, match="auth token has expired"):
        door.admit_with_token(holding(token), resuming, "v1beta")


def test_a_token_does_not_open_the_plain_method_nor_a_key_the_constrained_one(door: Door) -> None:
    """Each method takes its own credentials only."""
    token = door.tokens.issue({})
    with pytest.raises(Refusal) as refused:
        door.admit_with_key(holding(token), MODEL, "v1beta")
    assert refused.value.code == 1008
    key = Credentials(token=None, api_key="right")
    with pytest.raises(Refusal) as refused:
        door.admit_with_token(key, MODEL, "v1beta")
    assert refused.value.code == 1008
    assert door.admit_with_key(key, MODEL, "v1beta").token is None


def test_a_wrong_key_is_refused(door: Door) -> None:
    """A wrong key is refused in Google's words."""
    with pytest.raises(Refusal, match=r"^API key not valid") as refused:
        door.admit_with_key(Credentials(token=None, api_key="wrong"), MODEL, "v1beta")
    assert refused.value.code == 1007
