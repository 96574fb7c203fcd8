"""The whole stack's requests against its ledger: as many rows, and for each token who has it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from client import TOKEN_PATH, Answer, Caller, caller, new_user

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from stack.layout import Layout


async def ledger(layout: Layout, *arguments: str, written: str = "") -> tuple[int, str]:
    """Run `tokenservice ledger find` with the service's environment; return code and output."""
    (program,) = [each for each in layout.programs if each.name == "tokenservice"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tokenservice.cli", "ledger", "find", "--limit", "1000", *arguments),
        env={**program.environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(written.encode())
    assert process.returncode is not None
    return process.returncode, out.decode()


async def rows(layout: Layout, *arguments: str, written: str = "") -> list[Any]:
    """Return the rows that are found."""
    _, out = await ledger(layout, "--json", *arguments, written=written)
    return [json.loads(line) for line in out.splitlines()]


async def ask(client: Caller, number: int) -> Answer:
    """Make the request of a number: every kind of ending comes again and again."""
    headers = {"X-Request-ID": f"r-{number}"}
    match number % 5:
        case 0:
            return await client.call(headers=headers | {"Authorization": "Bearer no.such.thing"})
        case 1:
            return await client.call(subject=new_user(), headers=headers, json={"model": "gpt-9"})
        case 2:
            return await client.call(subject="canary-user", headers=headers)
        case _:
            return await client.call(subject=new_user(), headers=headers)


async def test_rows_are_requests_exactly(make_layout: Callable[..., Layout]) -> None:
    """Each answer has one row that agrees with it, each token is its user's, none is named."""
    layout = make_layout(LIVE_API_MAX_TOKENS_PER_HOUR="2")
    async with running(layout) as stack, caller(layout) as client:
        answers = await asyncio.gather(*(ask(client, number) for number in range(60)))
        repeated = [
            await client.call(
                subject="canary-repeating",
                headers={"X-Request-ID": f"again-{n}", "Idempotency-Key": "canary-key"},
            )
            for n in range(2)
        ]
        minted = (await client.emulator("GET", "counters"))["tokensMinted"]
        await stack.stop("tokenservice")
        found = await rows(layout)
        by_request = {row["request_id"]: row for row in found}
        assert len(found) == len(by_request) == 62
        for number, answer in enumerate(answers):
            row = by_request[f"r-{number}"]
            if answer.status == 200:
                assert row["outcome"] == "issued"
            else:
                assert (row["outcome"], row["reason"]) == ("refused", answer.body["code"])
                assert row.get("decision_id", "") == answer.body.get("decisionId", "")
            assert bool(row.get("user")) is (number % 5 != 0)
        assert Counter(row["outcome"] for row in found)["issued"] == minted
        assert minted == sum(answer.status == 200 for answer in [*answers, repeated[0]])
        first, second = (by_request[f"again-{n}"] for n in range(2))
        assert (first["outcome"], second["outcome"]) == ("issued", "repeated")
        assert first["token"] == second["token"]

        token = repeated[0].body["token"]
        assert await rows(layout, "--token", "-", written=token) == [second, first]
        assert await rows(layout, "--user", "canary-repeating") == [second, first]
        assert await rows(layout, "--request", "r-2") == [by_request["r-2"]]
        code, text = await ledger(layout, "--token", "-", written=token)
        assert code == 0
        assert f"User {first['user']} was issued a token for gemini-3.8-live" in text
        assert (await ledger(layout, "--token", "-", written="auth_tokens/none"))[0] == 3

        told = [answer.body["token"] for answer in answers if answer.status == 200]
        check_bytes(layout, [token, *told, "canary", "no.such.thing", "gpt-9", "127.0.0.1"])


async def test_who_hangs_up_is_accounted_for(make_layout: Callable[..., Layout]) -> None:
    """A stop in the middle of a mint, whose caller has gone, leaves the row of the token."""
    layout = make_layout()
    async with running(layout) as stack, caller(layout) as client:
        await client.emulator("POST", "faults/mint", {"latencyMs": 1500, "count": 1})
        call = asyncio.create_task(client.call(subject="ann", headers={"X-Request-ID": "left"}))
        while not (await client.emulator("GET", "counters"))["mintRequests"]:
            pass
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await stack.stop("tokenservice")
        (token,) = (await client.emulator("GET", "tokens"))["tokens"]
        (row,) = await rows(layout, "--token", "-", written=token["name"])
        assert (row["outcome"], row["reason"]) == ("issued", "CALLER_LEFT")
        assert row["request_id"] == "left"
        assert await rows(layout, "--user", "ann") == [row]


async def test_a_ledger_that_fails_is_seen_in_health(make_layout: Callable[..., Layout]) -> None:
    """While the ledger cannot be written, health shows it; tokens are issued, and rows wait."""
    layout = make_layout()
    async with running(layout), caller(layout) as client:
        place = layout.directory / "ledger.jsonl"
        place.rename(place.with_name("away"))
        place.mkdir()
        user = new_user()
        assert (await client.call(subject=user)).status == 200
        while (state := await noted(client)) == "SERVING":
            pass
        assert state == "LEDGER_FAILING"
        place.rmdir()
        while await noted(client) != "SERVING":
            pass
        assert [row["outcome"] for row in await rows(layout, "--user", user)] == ["issued"]


async def noted(client: Caller) -> str:
    """Return the ledger's state, in health that is good all the time."""
    health = await client.call("GET", f"{TOKEN_PATH}/health")
    assert health.status == 200
    state: str = health.body["data"]["dependencies"]["ledger"]
    return state


def check_bytes(layout: Layout, secrets: list[str]) -> None:
    """Check that no file of the ledger has a secret in it."""
    files = list(layout.directory.glob("ledger*.jsonl*"))
    text = b"".join(file.read_bytes() for file in files)
    assert len(files) == 2
    assert [secret for secret in secrets if secret.encode() in text] == []
