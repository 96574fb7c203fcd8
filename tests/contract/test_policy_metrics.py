"""What policy counts, through its API: each number is what its name says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from metering import Measured, measured
from policy_server import (
    PSEUDONYMS,
    Page,
    StillClock,
    Tape,
    at,
    commit,
    key,
    reserve,
    serving_policy,
)

from policy.degraded import DegradingStore
from policy.effective import EffectivePolicy, Tier
from policy.explain import Explainer
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.operators.service import OperatorService
from policy.rules import Mode, Rules, VolumeRule
from policy.standing import Blocking
from policy.v1 import operator_pb2, policy_pb2 as pb, policy_pb2_grpc
from serving import metrics
from serving.channel import open_channel
from serving.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LIMITS = Limits(
    tokens_per_hour=2, tokens_per_day=8, cooldown_ms=0, concurrent_sessions=0, refunds_per_hour=1
)


@dataclass
class World:
    """Policy, its clock, and what is in force."""

    stub: Any
    clock: StillClock
    page: Page

    async def guess(self, number: int, address: str = "203.0.113.9") -> None:
        """Send credentials that are wrong, each time others."""
        await self.stub.Report(
            pb.ReportRequest(
                outcome=pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
                fingerprint=b"guess %d" % number,
                client=pb.Client(address=address),
            )
        )


@pytest.fixture
def counted() -> Iterator[Measured]:
    """Return what is measured from now on."""
    with measured() as begun:
        yield begun


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return policy with few tokens for everybody, and more for one tier."""
    clock = StillClock()
    page = Page(
        EffectivePolicy(
            default=Tier(limits=LIMITS), tiers={"pro": Tier("pro", Limits(cooldown_ms=0))}
        )
    )
    address = f"unix:{tmp_path}/policy.sock"
    store = MemoryStore(clock, lease_ms=30_000)
    async with (
        serving_policy(address, store, page, clock=clock),
        open_channel(address) as channel,
    ):
        yield World(policy_pb2_grpc.PolicyServiceStub(channel), clock, page)


async def test_each_decision_counts_once(world: World, counted: Measured) -> None:
    """By outcome, by what refused, and by the tier in force, not the one that was asked for."""
    for request in ("a", "b", "c"):
        await world.stub.Reserve(reserve(request, tier="ann@example.com"))
    await world.stub.Reserve(reserve("a", owner=b"ownertwo"))
    await world.stub.Reserve(reserve("d", tier="pro", subject="bob"))
    assert counted.grown(metrics.DECISIONS) == {
        _decision("reserved"): 2,
        _decision("refused_tokens_per_hour", reason="tokens_per_hour"): 1,
        _decision("in_progress"): 1,
        _decision("reserved", tier="pro"): 1,
    }


async def test_a_question_is_no_decision(world: World, counted: Measured) -> None:
    """A dry run decides nothing, so it counts nothing."""
    await world.stub.Reserve(reserve("a", dry_run=True))
    assert counted.grown(metrics.DECISIONS) == {}
    assert counted.grown(metrics.FINDINGS) == {}


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.SHADOW])
async def test_shadow_is_counted_apart(world: World, counted: Measured, mode: Mode) -> None:
    """A broken rule counts by its mode: who only watches sees what would be refused."""
    rules = Rules(volume=VolumeRule(mode=mode, most=1))
    world.page.current = EffectivePolicy(default=Tier(limits=LIMITS, rules=rules))
    for request in ("a", "b", "c", "d", "e"):
        world.clock.now += 2_000
        await world.stub.Reserve(reserve(request, body=request.encode()))
    broken = counted.grown(metrics.FINDINGS)
    labels = frozenset({("live_token.rule", "volume"), ("live_token.mode", mode.value)})
    assert set(broken) == {labels}
    assert broken[labels] >= 1
    refused = counted.more(metrics.DECISIONS, reason="volume")
    assert refused == (broken[labels] if mode is Mode.ENFORCE else 0)


async def test_a_block_counts_when_it_comes(world: World, counted: Measured) -> None:
    """Violations below it are none, and those during it do not renew it."""
    for number in range(12):
        world.clock.now += 1
        await world.guess(number)
    assert counted.grown(metrics.BLOCKS) == {_block("address", "failed_credentials"): 1}
    assert counted.more(metrics.FINDINGS, rule="failed_credentials", mode="enforce") == 12
    assert counted.more(metrics.DECISIONS, outcome="noted") == 12


async def test_a_block_in_shadow_mode_is_none(world: World, counted: Measured) -> None:
    """It came into force nowhere."""
    rules = Rules(blocking=Blocking(violations=2), blocking_mode=Mode.SHADOW)
    world.page.current = EffectivePolicy(default=Tier(limits=LIMITS, rules=rules))
    for number in range(5):
        await world.guess(number)
    assert counted.grown(metrics.BLOCKS) == {}


async def test_an_operators_block_counts_as_such(counted: Measured) -> None:
    """By whom it is of, and that no rule brought it."""
    clock, page = StillClock(), Page()
    store = MemoryStore(clock, lease_ms=30_000)
    book: Any = page
    operators = OperatorService(
        store, Explainer(store, page), book, PSEUDONYMS, recorder=Tape(), clock=clock
    )
    context: Any = None
    await operators.AddBlock(
        operator_pb2.AddBlockRequest(
            party=operator_pb2.Party(subject="ann"),
            reason="tests",
            actor="op",
            expire_time=at(clock.now + 60_000),
        ),
        context,
    )
    assert counted.grown(metrics.BLOCKS) == {_block("user", "operator"): 1}


async def test_what_is_given_back_counts(world: World, counted: Measured) -> None:
    """By what became of it: a refund, a charge that stays, nothing to give back."""
    for request in ("a", "b"):
        await world.stub.Reserve(reserve(request))
        await world.stub.Release(pb.ReleaseRequest(key=key(request), ambiguous=True))
    await world.stub.Release(pb.ReleaseRequest(key=key("never")))
    assert {
        outcome: counted.more(metrics.REFUNDS, outcome=outcome)
        for outcome in ("released", "kept", "nothing")
    } == {"released": 1, "kept": 1, "nothing": 1}


async def test_a_lost_commit_counts(world: World, counted: Measured) -> None:
    """One that comes when its reservation has gone, and no other."""
    await world.stub.Commit(commit("never"))
    assert counted.more(metrics.LOST_COMMITS) == 1
    await world.stub.Reserve(reserve("a"))
    await world.stub.Commit(commit("a"))
    assert counted.more(metrics.LOST_COMMITS) == 1


async def test_commits_tell_how_full_limits_are(world: World, counted: Measured) -> None:
    """The first of two an hour is a half, the second all of it; of the day, less."""
    for request in ("a", "b"):
        await world.stub.Reserve(reserve(request))
        await world.stub.Commit(commit(request))
    assert counted.total(metrics.QUOTA_USED, limit="tokens_per_hour") == pytest.approx(1 / 2 + 1)
    assert counted.total(metrics.QUOTA_USED, limit="tokens_per_day") == pytest.approx(3 / 8)
    assert counted.more(metrics.QUOTA_USED) == 4


async def test_a_cooldown_is_no_part_of_it(world: World, counted: Measured) -> None:
    """Each token begins one, so it would always be all."""
    limits = Limits(tokens_per_hour=2, cooldown_ms=60_000)
    world.page.current = EffectivePolicy(default=Tier(limits=limits))
    await world.stub.Reserve(reserve("a"))
    await world.stub.Commit(commit("a"))
    assert counted.more(metrics.QUOTA_USED, limit="tokens_per_hour") == 1
    assert counted.more(metrics.QUOTA_USED, limit="cooldown") == 0


async def test_degraded_decisions_count_as_such(tmp_path: Path, counted: Measured) -> None:
    """What is decided without the shared store says so."""
    clock = StillClock()
    alone = MemoryStore(clock, lease_ms=30_000)
    store = DegradingStore(_Away(clock, lease_ms=1), alone, lambda limits: limits)
    address = f"unix:{tmp_path}/policy.sock"
    async with (
        serving_policy(address, store, Page(), clock=clock),
        open_channel(address) as channel,
    ):
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        await asyncio.gather(*(stub.Reserve(reserve(f"{n}", subject=f"{n}")) for n in range(3)))
    assert counted.more(metrics.DECISIONS, degraded="true") == 3
    assert counted.more(metrics.DECISIONS, degraded="false") == 0


class _Away(MemoryStore):
    """A store whose database is away."""

    async def reserve(self, *_: Any, **__: Any) -> Any:
        raise StoreUnavailable("no route")


def _decision(outcome: str, tier: str = "default", reason: str = "") -> frozenset[tuple[str, str]]:
    labels = {
        "live_token.decision": outcome,
        "live_token.tier": tier,
        "live_token.degraded": "false",
        **({"live_token.reason": reason} if reason else {}),
    }
    return frozenset(labels.items())


def _block(party: str, rule: str) -> frozenset[tuple[str, str]]:
    return frozenset({("live_token.party", party), ("live_token.rule", rule)})
