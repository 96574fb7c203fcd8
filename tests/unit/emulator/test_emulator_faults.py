"""Failures to order."""

from typing import Any

import pytest

from emulator.errors import InvalidPayload
from emulator.faults import FaultBoard, Target


def test_a_fault_applies_as_often_as_ordered() -> None:
    """A counted fault is gone after its last time."""
    board = FaultBoard()
    board.order("mint", {"status": 503, "count": 2})
    faults = [board.take_http("mint") for _ in range(3)]
    assert [fault and fault.status for fault in faults] == [503, 503, None]


def test_a_fault_without_a_count_stays() -> None:
    """Without a count a fault applies until it is cleared."""
    board = FaultBoard()
    board.order("live", {"closeCode": 1011, "closeReason": "no"})
    assert board.take_live() is board.take_live() is not None
    board.clear("live")
    assert board.take_live() is None


def test_faults_follow_one_another() -> None:
    """A list is a script: each fault takes its turn."""
    board = FaultBoard()
    board.order("mint", [{"status": 503, "count": 1}, {"status": 429, "count": 1}])
    faults = [board.take_http("mint") for _ in range(3)]
    assert [fault and fault.status for fault in faults] == [503, 429, None]


def test_targets_do_not_touch_each_other() -> None:
    """A fault of one target is met by no other, and all are shown until cleared."""
    board = FaultBoard()
    board.order("models", {"hang": True})
    assert board.take_http("mint") is None
    assert board.pending() == {"mint": [], "models": [{"hang": True, "latencyMs": 0}], "live": []}
    board.clear()
    assert board.pending() == {"mint": [], "models": [], "live": []}


@pytest.mark.parametrize(
    "target,body",
    [
        ("mint", {"status": 200}),
        ("mint", {"stattus": 503}),
        ("mint", {"count": 0}),
        ("mint", {"latencyMs": -1}),
        ("mint", {"closeCode": 1011}),
        ("live", {"closeCode": 1006}),
        ("live", {"closeCode": 99}),
        ("live", {"hang": True}),
        ("live", "close"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(target: Target, body: Any) -> None:
    """A wrong order is refused when it is given, and changes nothing."""
    board = FaultBoard()
    board.order(target, {"latencyMs": 1})
    before = board.pending()
    with pytest.raises(InvalidPayload):
        board.order(target, body)
    assert board.pending() == before
