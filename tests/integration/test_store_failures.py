"""Whatever ails the store, nothing is decided without it, nobody waits, and it mends itself."""

import logging
from pathlib import Path

import pytest
from servers import valkey_server
from servers_proxy import hole
from store_failures import DURABLE, USER, serving, url_of
from store_failures_faults import FAULTS, Fault

log = logging.getLogger(__name__)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_store_no_decision(fault: Fault, tmp_path: Path) -> None:
    """Every call fails in time, health says so; mended, nothing that was charged is forgotten."""
    async with (
        valkey_server(tmp_path, config={**DURABLE, "user": USER}) as server,
        hole(server.address) as proxy,
        serving(url_of(proxy if fault.behind_proxy else server)) as policy,
    ):
        await policy.issue("ann")
        assert await policy.decided(policy.reserve, "bob") == "granted"
        async with fault.begin(server, proxy):
            answers = [
                await policy.reserve("new"),
                await policy.commit("bob"),
                await policy.reserve("ann", "again"),
            ]
            assert all(answer.no_decision for answer in answers), answers
            noticed = await policy.until_serving(serving=False)
            await policy.until_told(fault.cause)
        recovered = await policy.until_serving()
        assert await policy.decided(policy.reserve, "carol") == "granted"
        assert await policy.decided(policy.reserve, "ann", "again") == "COOLDOWN"
        assert await policy.decided(policy.commit, "bob") == "COMMITTED"
        slowest = max(answer.seconds for answer in answers)
        log.info("%s: %.3f %.3f %.3f %s", fault, slowest, noticed, recovered, policy.causes())
