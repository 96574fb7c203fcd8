"""POLICY_ON_STORE_FAILURE=degraded: a process decides alone, says so, and keeps it apart."""

import asyncio
import json
from pathlib import Path
from typing import Any

from otlp import receiving
from servers import valkey_server
from servers_process import HOST, free_port
from servers_waiting import until
from store_failures import (
    BACK,
    DURABLE,
    IN_TIME,
    PASSWORD,
    USER,
    Answer,
    Policy,
    process,
    serving,
    url_of,
)

from policy.v1 import policy_pb2 as pb

SAFE = {**DURABLE, "user": USER}


async def test_deciding_alone(tmp_path: Path) -> None:
    """Within reduced limits, marked wherever it shows; each side's reservations stay its own."""
    decisions = tmp_path / "decisions.jsonl"
    async with (
        valkey_server(tmp_path / "valkey", config=SAFE) as server,
        receiving() as (endpoint, receiver),
        process(
            url_of(server),
            POLICY_ON_STORE_FAILURE="degraded",
            POLICY_DECISION_LOG=str(decisions),
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_BSP_SCHEDULE_DELAY="100",
        ) as policy,
    ):
        await policy.until_serving()
        await policy.issue("ann")
        assert marks(await policy.reserve("bob")) == ("granted", False)

        server.kill()
        assert marks(await policy.reserve("carol")) == ("granted", True)
        assert (await policy.commit("carol")).outcome == "COMMITTED"
        refused = await policy.reserve("carol", "again")
        assert marks(refused) == ("COOLDOWN", True), "the reduced limits hold"
        assert marks(await policy.reserve("ann", "again")) == ("granted", True), "over-issued"
        assert marks(await policy.reserve("dora")) == ("granted", True)
        assert (await policy.commit("bob")).no_decision, "it is the store's"
        assert (await policy.usage("carol")).no_decision
        assert await policy.serves(), "it can decide"

        await server.start()
        await until_said(policy, "deciding with the store again")
        assert marks(await policy.reserve("eve")) == ("granted", False)
        assert (await policy.commit("bob")).outcome == "COMMITTED"
        assert (await policy.commit("dora")).outcome == "COMMITTED"
        assert (await policy.release("ann", "again")).outcome == "released"
        for user, count in {"ann": 1, "bob": 1, "carol": 0, "dora": 0}.items():
            assert (await policy.usage(user)).message.usage.tokens_last_day == count, user
        again = await policy.reserve("dora", owner=b"ownertwo")
        assert marks(again) == ("replayed", True)
        assert marks(await policy.reserve("ann", "again")) == ("COOLDOWN", False)

        # Wherever the decision shows, so does how it was made.
        chosen = refused.message.decision_id
        (line,) = [each for each in policy.said("decision") if each["decision_id"] == chosen]
        assert (line["outcome"], line["degraded"]) == ("refused_cooldown", True)
        assert [each["cause"] for each in policy.said("deciding alone")] == [
            "the store failed: ConnectionError"
        ]
        (entry,) = await entries_of(decisions, chosen)
        assert entry["degraded"] is True
        await receiver.until(lambda spans: any(attributes(s).get(ID) == chosen for _, s in spans))
        (span,) = [s for _, s in receiver.spans if attributes(s).get(ID) == chosen]
        assert attributes(span)["live_token.degraded"] is True


async def test_rules_alone(tmp_path: Path) -> None:
    """Rules about a request refuse, and violations add up to a block, in this process alone."""
    probe: dict[str, Any] = {"content": pb.Content(model="../m")}
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        serving(url_of(server), on_store_failure="degraded") as policy,
    ):
        assert marks(await policy.reserve("ann", **probe)) == ("ABUSE", False)
        server.kill()
        for n in range(5):
            assert marks(await policy.reserve("ann", f"probe {n}", **probe)) == ("ABUSE", True)
        assert marks(await policy.reserve("ann")) == ("USER_BLOCKED", True)
        dry = await policy.reserve("ann", "dry", dry_run=True)
        assert marks(dry) == ("USER_BLOCKED", True)
        assert marks(await policy.reserve("bob")) == ("granted", True)
        await server.start()
        await until_said(policy, "deciding with the store again")
        assert marks(await policy.reserve("ann", "back")) == ("granted", False)


async def test_alone_beside_a_store_that_hangs(tmp_path: Path) -> None:
    """The decision is still there in time, for many callers at once."""
    async with (
        valkey_server(tmp_path, config=SAFE) as server,
        serving(url_of(server), on_store_failure="degraded", store_max_connections=3) as policy,
    ):
        server.pause()
        users = [policy.new_user() for _ in range(30)]
        answers = await asyncio.gather(*map(policy.reserve, users))
        assert {marks(answer) for answer in answers} == {("granted", True)}
        assert max(answer.seconds for answer in answers) < IN_TIME
        server.resume()
        await until_said(policy, "deciding with the store again")
        assert marks(await policy.reserve("ann")) == ("granted", False)


async def test_alone_from_the_start(tmp_path: Path) -> None:
    """Without a store that ever was there it serves, and joins the store when that appears."""
    port = free_port()
    url = f"redis://policy:{PASSWORD}@{HOST}:{port}/0"
    async with serving(url, on_store_failure="degraded") as policy:
        assert await policy.serves()
        assert marks(await policy.reserve("ann")) == ("granted", True)
        async with valkey_server(tmp_path, config=SAFE, port=port):
            await until_said(policy, "deciding with the store again")
            assert marks(await policy.reserve("bob")) == ("granted", False)


ID = "live_token.decision_id"


def marks(answer: Answer) -> tuple[str, bool]:
    """Return what was decided, and whether alone."""
    assert answer.code == "OK", answer
    return answer.outcome, answer.message.degraded


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's attributes of the kinds that we use."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


async def entries_of(log: Path, decision_id: str) -> list[dict[str, Any]]:
    """Return a decision's entries in the decision log, once there are any."""
    found: list[dict[str, Any]] = []

    async def written() -> bool:
        text = await asyncio.to_thread(log.read_text)
        lines = [json.loads(line) for line in text.splitlines()]
        found[:] = [line for line in lines if line.get("decision_id") == decision_id]
        return bool(found)

    await until(written, BACK, "the decision log has it")
    return found


async def until_said(policy: Policy, event: str) -> None:
    """Wait until policy's log has an event."""

    async def said() -> bool:
        return bool(policy.said(event))

    await until(said, BACK, f"policy's log says: {event}")
