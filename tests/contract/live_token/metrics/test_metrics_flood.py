"""Nobody makes time series: a flood of names that nobody has leaves the metrics as they were."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from live_token import MODEL
from metering import measured, series
from metrics_flood import Flood

from serving import metrics
from serving.instruments import MOST_SETS, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from live_token import Chain

pytestmark = [
    pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning"),
    pytest.mark.timeout(600),
]

FEW, MANY = 4, 60
_NO_NAME = re.compile(r"[0-9a-f]{14,}|\d+\.\d+\.\d+\.\d+|@|=|\bx[0-9a-f]{14}\b", re.IGNORECASE)
"""What looks like an id, an address or a secret."""


@pytest.fixture
async def flooded(launch: Any, tmp_path: Path) -> Chain:
    """Run a chain in front of which there is a proxy, with a store of API keys."""
    chain: Chain = await launch(
        GATEWAY_TRUSTED_PROXIES="127.0.0.1",
        TOKENSERVICE_STORE_URL=f"sqlite:{tmp_path}/keys.db",
        TOKENSERVICE_LEDGER=f"{tmp_path}/ledger.jsonl",
    )
    return chain


def all_series() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return every series there is, by its metric and its labels."""
    return {(name, labels) for name, found in series().items() for labels in found}


def label_values() -> Iterator[str]:
    """Go through every value of every label."""
    return (value for _, labels in all_series() for _, value in labels)


async def test_a_flood_makes_no_series(flooded: Chain, tmp_path: Path) -> None:
    """Thousands of users, addresses, models, paths, methods, ids and reasons: not one more."""
    with measured() as counted:
        flood = Flood(flooded, tmp_path / "0")
        await flood.wave(FEW)
        warm = all_series()
        await flood.wave(MANY)
        assert all_series() == warm
        assert len(flood.words) > 5_000
        for value in label_values():
            assert value not in flood.words
            assert value not in flood.addresses
            assert not _NO_NAME.search(value) or value == OTHER, value
            assert not any(word in value for word in flood.words), value
        # None of it was lost, nor what comes after it.
        assert counted.more(metrics.ISSUED, model=MODEL, tier="default") == 2 * (FEW + MANY)
        assert counted.more(metrics.ISSUED) == 2 * (FEW + MANY)
        assert counted.more(metrics.REPLAYED) == FEW + MANY
        assert counted.more(metrics.HTTP_DURATION, method=OTHER) <= FEW + MANY
        flooded.fail(status=500, count=10)
        assert (await flooded.mint("ann")).status == 503
        failed = {"route": "/api/v1/live-token", "status": "503", "method": "POST"}
        assert counted.more(metrics.HTTP_DURATION, **failed) == 1
        assert all(len(each._attributes) < MOST_SETS / 2 for each in metrics.ALL)
