"""What the chain counts of what callers see."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from live_token import HEALTH, MINT, MODEL, USAGE, eventually
from metering import Measured, measured

from serving import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")


@pytest.fixture
def counted() -> Iterator[Measured]:
    """Return what is measured from now on."""
    with measured() as begun:
        yield begun


async def test_tokens_count_where_they_are_delivered(counted: Measured, quick: Chain) -> None:
    """By model, and by the tier that counted: not by what a caller's credentials call it."""
    bearer = quick.bearer("ann", tier="ann")
    for _ in range(2):
        answer = await quick.call(headers={"Authorization": f"Bearer {bearer}"})
        assert answer.status == 200
    labels = frozenset({("gen_ai.request.model", MODEL), ("live_token.tier", "default")})
    assert counted.grown(metrics.ISSUED) == {labels: 2}
    assert counted.grown(metrics.REPLAYED) == {}
    assert counted.grown(metrics.REFUSED) == {}


async def test_a_repeat_counts_apart(counted: Measured, quick: Chain) -> None:
    """The same token to the same request is delivered again, and not issued."""
    for _ in range(3):
        await quick.call(subject="ann", headers={"Idempotency-Key": "once"})
    assert counted.more(metrics.ISSUED, model=MODEL, tier="default") == 1
    assert counted.more(metrics.REPLAYED, model=MODEL, tier="default") == 2


async def test_refusals_count_by_the_reason_in_the_answer(counted: Measured, chain: Chain) -> None:
    """A caller who got no token is one refusal, whoever refused; other methods count none."""
    await chain.mint("ann")
    answers: list[Any] = [
        await chain.mint("ann"),  # policy's cooldown
        await chain.call(),  # no credentials
        await chain.mint("bob", model="no-such-model"),
    ]
    chain.fail(status=500, count=10)
    answers.append(await chain.mint("cid"))
    await chain.call("GET", USAGE)
    assert [answer.status for answer in answers] == [429, 401, 400, 503]
    codes: dict[str, int] = {}
    for answer in answers:
        codes[answer.body["code"]] = codes.get(answer.body["code"], 0) + 1
    assert counted.more(metrics.REFUSED) == 4
    assert {dict(key)["live_token.reason"] for key in counted.grown(metrics.REFUSED)} == set(codes)
    assert counted.more(metrics.ISSUED) == 1


async def test_dependencies_are_up_or_not(counted: Measured, chain: Chain) -> None:
    """Each process tells of what it depends on, and again when that is back."""
    up = metrics.DEPENDENCY_UP
    assert {name: counted.now(up, dependency=name) for name in ("policy", "gemini", "store")} == {
        "policy": 1,
        "gemini": 1,
        "store": 1,
    }
    chain.fail("models", status=500, count=1000)
    await eventually(lambda: counted.now(up, dependency="gemini") == 0)
    assert (await chain.call("GET", HEALTH)).status == 503
    chain.mend()
    await eventually(lambda: counted.now(up, dependency="gemini") == 1)


async def test_who_stops_has_no_dependencies(counted: Measured, chain: Chain) -> None:
    """What has ended says nothing of what it depended on, rather than its last word for ever."""
    assert counted.now(metrics.DEPENDENCY_UP, dependency="policy") == 1
    await chain.tokenservice.stop()
    assert counted.now(metrics.DEPENDENCY_UP, dependency="policy") is None
    assert counted.now(metrics.DEPENDENCY_UP, dependency="store") == 1


@pytest.mark.parametrize(
    "variable", ["GATEWAY_MAX_CONCURRENT_REQUESTS", "TOKENSERVICE_MAX_CONCURRENT_REQUESTS"]
)
async def test_what_is_shed_counts_where_it_is(
    counted: Measured, launch: Any, variable: str
) -> None:
    """A request too many is one, in the process that had no place; what is at work shows, too."""
    chain = await launch(**{variable: "1"})
    before = counted.now(metrics.RPC_ACTIVE)
    async with chain.held() as asked, asyncio.TaskGroup() as group:
        first = group.create_task(chain.mint("ann"))
        await asked()
        at_work = counted.now(metrics.RPC_ACTIVE)
        second = await chain.mint("bob")
        shed = counted.more(metrics.SHED)
        chain.emulator.core.clock.advance(timedelta(seconds=1))
        assert (await first).status == 200
    assert second.status == 503
    assert shed == 1
    # The gateway's call, tokenservice at work on it; what probed policy and Gemini is not counted.
    assert (at_work or 0) - (before or 0) == 2
    await eventually(lambda: counted.now(metrics.RPC_ACTIVE) == before)


async def test_each_hop_is_measured(counted: Measured, chain: Chain) -> None:
    """A request has a duration at the gateway, and its calls one at both of their ends."""
    await chain.mint("ann")
    await chain.mint("ann")  # too soon
    route = {"method": "POST", "route": MINT}
    assert counted.more(metrics.HTTP_DURATION, **route, status="200", error=None) == 1
    assert counted.more(metrics.HTTP_DURATION, **route, status="429", error=None) == 1
    create = {"method": "tokenservice.v1.TokenService/CreateToken"}
    reserve = {"method": "policy.v1.PolicyService/Reserve"}
    for instrument in (metrics.RPC_CLIENT_DURATION, metrics.RPC_SERVER_DURATION):
        assert counted.more(instrument, **create, code="OK", error=None) == 1
        assert counted.more(instrument, **create, code="RESOURCE_EXHAUSTED") == 1
        assert counted.more(instrument, **reserve, code="OK") == 2
    chain.fail(status=500, count=10)
    await chain.mint("bob")
    assert counted.more(metrics.HTTP_DURATION, **route, status="503", error="503") == 1
    for instrument in (metrics.RPC_CLIENT_DURATION, metrics.RPC_SERVER_DURATION):
        assert counted.more(instrument, **create, code="UNAVAILABLE", error="UNAVAILABLE") == 1


async def test_what_should_not_happen_is_0_from_the_start(counted: Measured, chain: Chain) -> None:
    """Prometheus sees the first one, too: not where a series begins with it."""
    assert (await chain.call("GET", HEALTH)).status == 200
    for instrument in (metrics.SHED, metrics.LOST_COMMITS):
        assert counted.now(instrument) is not None
    for reason in ("full", "address"):
        assert counted.now(metrics.HTTP_CONNECTIONS_REFUSED, reason=reason) is not None
    for mode in ("enforce", "shadow"):
        assert counted.now(metrics.FINDINGS, rule="volume", mode=mode) is not None
    assert counted.now(metrics.REFUNDS, outcome="kept") is not None


async def test_health_is_no_call(counted: Measured, chain: Chain) -> None:
    """It is asked all the time: at the gateway alone it has a duration."""
    before = counted.more(metrics.HTTP_DURATION, route=HEALTH, status="200")
    assert (await chain.call("GET", HEALTH)).status == 200
    assert counted.more(metrics.HTTP_DURATION, route=HEALTH, status="200") == before + 1
    for instrument in (metrics.RPC_CLIENT_DURATION, metrics.RPC_SERVER_DURATION):
        assert counted.more(instrument) == 0


async def test_requests_under_way_show(counted: Measured, chain: Chain) -> None:
    """For as long as they are."""
    before = counted.now(metrics.HTTP_ACTIVE) or 0
    async with chain.held() as asked:
        waiting = asyncio.ensure_future(chain.mint("ann"))
        await asked()
        assert counted.now(metrics.HTTP_ACTIVE) == before + 1
    await waiting
    await eventually(lambda: counted.now(metrics.HTTP_ACTIVE) == before)
