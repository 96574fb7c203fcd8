"""The tests would notice: a mistake in a script makes it differ from the account in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from store_driver import drive
from store_machine import AbusePair, Pair
from store_mutants import MUTANTS, Mutant

from policy.redis.scripts import load_scripts
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from servers import ValkeyServer

pytestmark = pytest.mark.timeout(300)  # on a busy machine
EVERY = os.environ.get("MUTANTS") == "all"
SETTINGS = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    "mutant", [each for each in MUTANTS if each.often or EVERY], ids=lambda each: each.name
)
def test_a_mistake_is_noticed(server: ValkeyServer, mutant: Mutant) -> None:
    """Driven side by side with memory, the mistaken script soon answers otherwise."""
    with pytest.raises((AssertionError, StoreUnavailable)):
        drive(
            server.url,
            SETTINGS,
            load_scripts(mutant.change),
            AbusePair if mutant.abuse else Pair,
        )
