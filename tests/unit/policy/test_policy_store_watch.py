"""The watch on the store says what it finds, when it is news."""

from structlog.testing import capture_logs

from policy.memory import MemoryStore
from policy.watch import STORE, UNAVAILABLE, report_store
from serving.health import SERVING, HealthBoard
from serving.stores import StoreUnavailable


class Store(MemoryStore):
    """Is what the test says."""

    def __init__(self) -> None:
        super().__init__(lambda: 0, lease_ms=1)
        self.ails = ""

    async def check(self) -> None:
        """See Store."""
        if self.ails:
            raise StoreUnavailable(self.ails)


async def test_a_change_of_the_cause_is_news() -> None:
    """State and cause are logged when one of them changes, and only then."""
    store, board = Store(), HealthBoard(["a.Service"], [STORE])
    cause = None
    with capture_logs() as logs:
        for store.ails in ("", "", "down", "down", "loading", "loading", ""):
            cause = await report_store(store, board, cause)
            assert board.serving is not bool(store.ails)
            assert cause == store.ails
    assert [(line["event"], line["state"], line.get("cause")) for line in logs] == [
        ("dependency", SERVING, None),
        ("dependency", UNAVAILABLE, "down"),
        ("dependency", UNAVAILABLE, "loading"),
        ("dependency", SERVING, None),
    ]
