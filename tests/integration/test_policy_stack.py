"""Rules, tiers, blocks and decisions as callers and operators of the whole stack meet them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from client import TOKEN_PATH, Answer, Caller, caller, new_user
from otlp import receiving

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from stack.layout import Layout

STRANGER = "203.0.113.9"
POLICY_FILE = """
version: 1
tiers:
  pro: {limits: {tokens_per_hour: 50, tokens_per_day: 500, cooldown_minutes: 0}}
"""


async def operator(layout: Layout, *arguments: str) -> tuple[int, str]:
    """Run the `policy` command as an operator; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import policy.cli.commands; policy.cli.commands.main()",
        *arguments,
        "--target",
        layout.policy_target,
        "--key-file",
        str(layout.operator_key_file),
        env={**os.environ, "USER": "sre"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def guess(client: Caller, number: int, **headers: str) -> Answer:
    """Send a bearer that is wrong."""
    return await client.call(headers={"Authorization": f"Bearer wrong{number}", **headers})


async def test_guessing_blocks_the_peer_and_not_whom_it_names(
    make_layout: Callable[..., Layout],
) -> None:
    """A forged X-Forwarded-For blocks no stranger; the block says its end and can be lifted."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        for number in range(5):
            answer = await guess(client, number, **{"X-Forwarded-For": STRANGER})
            assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED")
        blocked = await client.call(subject=new_user())
        assert (blocked.status, blocked.body["code"]) == (403, "ADDRESS_BLOCKED")
        assert 7_190 <= blocked.body["retryAfter"] <= 7_200
        assert blocked.headers["Retry-After"] == str(blocked.body["retryAfter"])
        assert blocked.body["decisionId"]
        assert (await client.emulator("GET", "counters"))["tokensMinted"] == 0

        layout = stack.layout
        code, listed = await operator(layout, "blocks", "list")
        assert code == 0
        assert "failed_credentials" in listed
        assert "127.0.0.1" not in listed
        _, stranger = await operator(
            layout, "explain", "--user", "ann", "--address", STRANGER, "--header", "user-agent"
        )
        assert "granted" in stranger.splitlines()[0]
        assert (
            await operator(layout, "blocks", "lift", "--address", "127.0.0.1", "--reason", "x")
        )[0] == 0
        assert (await client.call(subject=new_user())).status == 200


async def test_behind_a_trusted_proxy_each_client_has_its_own_address(
    make_layout: Callable[..., Layout],
) -> None:
    """A guesser behind the proxy is blocked; the others behind it, and its headers, are not."""
    async with (
        running(make_layout(GATEWAY_TRUSTED_PROXIES="127.0.0.1")) as stack,
        caller(stack.layout) as client,
    ):
        guesser = {"X-Forwarded-For": f"10.9.9.9, {STRANGER}", "X-Forwarded-Host": "tokens.example"}
        honest = guesser | {"X-Forwarded-For": "203.0.113.77"}
        for number in range(5):
            await guess(client, number, **guesser)
        answer = await client.call(subject=new_user(), headers=guesser)
        assert (answer.status, answer.body["code"]) == (403, "ADDRESS_BLOCKED")
        assert (await client.call(subject=new_user(), headers=honest)).status == 200


async def test_headers_that_only_a_proxy_may_send_are_refused(
    make_layout: Callable[..., Layout],
) -> None:
    """From a client of its own they are abuse, and so is a request without User-Agent."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        user = new_user()
        for headers in ({"X-Forwarded-Host": "evil.example"}, {"User-Agent": ""}):
            answer = await client.call(subject=user, headers=headers)
            assert (answer.status, answer.body["code"]) == (429, "ABUSE_DETECTED")
            assert answer.body["decisionId"]
        assert (await client.call(subject=user)).status == 200


async def test_fifty_at_once_are_no_abuse(make_layout: Callable[..., Layout]) -> None:
    """One of fifty simultaneous requests is granted, the others see the cooldown, no block."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        user = new_user()
        answers = await asyncio.gather(*(client.call(subject=user) for _ in range(50)))
        assert sorted(answer.status for answer in answers) == [200] + [429] * 49
        refused = {answer.body["code"] for answer in answers if answer.status == 429}
        assert refused == {"RATE_LIMIT_EXCEEDED"}


async def test_a_claim_selects_the_tier_and_the_policy_file_may_change(
    make_layout: Callable[..., Layout], tmp_path: Path
) -> None:
    """Tiers have quotas of their own, and an edit of the file is in force without a restart."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY_FILE, encoding="utf-8")
    layout = make_layout(POLICY_FILE=str(file))
    async with running(layout) as stack, caller(stack.layout) as client:
        pro = {"Authorization": client.bearer(new_user(), tier="pro")}
        other = {"Authorization": client.bearer(new_user(), tier="unheard-of")}
        answers = [await client.call(headers=pro) for _ in range(12)]
        assert [answer.status for answer in answers] == [200] * 12
        assert answers[-1].body["usage"]["limits"] == {"tokensPerHour": 50, "tokensPerDay": 500}
        assert [(await client.call(headers=other)).status for _ in range(2)] == [200, 429]

        file.write_text("version: 2", encoding="utf-8")
        file.write_text(POLICY_FILE.replace("tokens_per_hour: 50", "tokens_per_hour: 12"))
        async with asyncio.timeout(20):
            while await hourly_limit(client, pro) != 12:
                pass
        answer = await client.call(headers=pro)
        assert answer.body["error"].startswith("Rate limit exceeded: 12 tokens per hour")


async def hourly_limit(client: Caller, headers: dict[str, str]) -> int:
    """Return the limit that the service tells the caller."""
    usage = await client.call("GET", f"{TOKEN_PATH}/usage", headers=headers)
    limit: int = usage.body["data"]["limits"]["tokensPerHour"]
    return limit


async def test_a_decision_has_one_id_wherever_it_is_seen(
    make_layout: Callable[..., Layout], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the answer, in logs, on spans and in the decision log; and none of those names anyone."""
    decisions, user = tmp_path / "decisions.jsonl", new_user()
    async with receiving() as (endpoint, receiver):
        layout = make_layout(
            POLICY_DECISION_LOG=str(decisions),
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        async with running(layout) as stack, caller(stack.layout) as client:
            issued = await client.call(subject=user)
            refused = await client.call(subject=user)
            await receiver.until(lambda spans: len(_with_decision(spans, refused)) >= 2)
    ids = [answer.body["decisionId"] for answer in (issued, refused)]
    logged = capfd.readouterr().err
    recorded = decisions.read_text(encoding="utf-8")
    entries = [json.loads(line) for line in recorded.splitlines()]
    by_id = {entry["decision_id"]: entry for entry in entries if entry["event"] == "decision"}
    assert [by_id[each]["outcome"] for each in ids] == ["reserved", "refused_cooldown"]
    assert all(f'"decision_id": "{each}"' in logged for each in ids)
    assert {service for service, _ in _with_decision(receiver.spans, refused)} == {
        "policy",
        "tokenservice",
    }
    spans = str([each for _, span in receiver.spans for each in _of_callers(span)])
    for secret in (user, "127.0.0.1", issued.body["token"]):
        assert secret not in recorded
        assert secret not in spans
    for secret in (user, issued.body["token"]):
        assert secret.encode() not in receiver.received
        assert secret not in logged


def _of_callers(span: Span) -> list[Any]:
    """Return what a span says, but for where Gemini is: here, that is where callers are."""
    return [span.name, *(each for each in span.attributes if each.key != "server.address")]


def _with_decision(spans: Any, answer: Answer) -> list[tuple[str, Span]]:
    return [
        (service, span)
        for service, span in spans
        for attribute in span.attributes
        if attribute.key == "live_token.decision_id"
        and attribute.value.string_value == answer.body["decisionId"]
    ]
