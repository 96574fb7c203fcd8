"""Every store is driven side by side with a model, and answers every call as that does."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from store_driver import drive
from store_machine import AbusePair, Pair
from store_plain_model import PlainModel, Rules
from store_sides import PlainSide, StoreSide

from policy.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import ValkeyServer
    from servers_cluster import ValkeyCluster

LONG = os.environ.get("HYPOTHESIS") == "long"
SETTINGS = settings(
    max_examples=5_000 if LONG else 60,
    stateful_step_count=60 if LONG else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
pytestmark = pytest.mark.timeout(7_200 if LONG else 300)  # on a busy machine
MACHINES = pytest.mark.parametrize("machine", [Pair, AbusePair])


def test_memory_is_as_the_documentation_says() -> None:
    """The account in memory answers as a model written from docs/quota.md alone."""

    def make(rules: Rules, clock: Callable[[], int]) -> tuple[StoreSide, PlainSide]:
        store = MemoryStore(clock, lease_ms=rules.lease)
        return StoreSide(store, "user", rules, clock), PlainSide(PlainModel(clock, rules))

    with asyncio.Runner() as runner:

        class Memory(Pair):
            pass

        Memory.make, Memory.runner = staticmethod(make), runner
        run_state_machine_as_test(
            Memory, settings=settings(SETTINGS, max_examples=5_000 if LONG else 200)
        )


@MACHINES
def test_a_server_is_as_memory_is(server: ValkeyServer, machine: type[Pair]) -> None:
    """The scripts answer as the account in memory, and keep the same bytes."""
    drive(server.url, SETTINGS, machine=machine)


@MACHINES
def test_a_cluster_is_as_memory_is(cluster: ValkeyCluster, machine: type[Pair]) -> None:
    """A cluster answers as one server does; the scripts are the same, so fewer runs will do."""
    how = SETTINGS if LONG else settings(SETTINGS, max_examples=25)
    drive(cluster.url.replace("redis://", "redis+cluster://"), how, machine=machine)
