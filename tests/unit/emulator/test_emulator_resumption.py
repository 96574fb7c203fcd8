"""Handles, and how long they lead back."""

from datetime import UTC, datetime, timedelta

import pytest

from emulator.clock import Clock
from emulator.errors import Refusal
from emulator.resumption import Handles


@pytest.fixture
def clock() -> Clock:
    """Stand still until advanced."""
    return Clock(wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))


def test_a_handle_leads_back_for_two_hours_after_the_end(clock: Clock) -> None:
    """The two hours run from the end of the session, not from the handle's issue."""
    handles = Handles(clock)
    handle = handles.issue("session")
    clock.advance(timedelta(hours=5))
    handles.end("session")
    clock.advance(timedelta(hours=2))
    assert handles.resume(handle) == "session"
    handles.end("session")
    clock.advance(timedelta(hours=2, microseconds=1))
    with pytest.raises(Refusal) as refused:
        handles.resume(handle)
    assert refused.value.code == 1008


def test_an_unknown_handle_is_refused(clock: Clock) -> None:
    """A handle that was never issued leads nowhere."""
    with pytest.raises(Refusal) as refused:
        Handles(clock).resume("made-up")
    assert refused.value.code == 1008
