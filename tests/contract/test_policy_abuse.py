"""The rules against abuse through policy's API: honest clients pass, attacks do not.

The clock is the test's own, so that hours pass at once.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from policy_server import Page, StillClock, Tape, at, commit, reserve, serving_policy

from policy.effective import EffectivePolicy
from policy.memory import MemoryStore
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OFFICE = "192.0.2.10"
STRANGER = "203.0.113.9"
BROWSER = pb.HttpHeaders(names=["user-agent", "accept", "origin"])
MINUTE = 60_000
HOUR = 60 * MINUTE
_requests = itertools.count()


@dataclass
class World:
    """Policy, its clock, and what clients do to it."""

    stub: Any
    clock: StillClock
    store: MemoryStore
    tape: Tape
    page: Page
    last: dict[str, pb.ReserveResponse] = field(default_factory=dict)

    async def mint(
        self,
        user: str,
        *,
        address: str = OFFICE,
        headers: pb.HttpHeaders = BROWSER,
        body: bytes = b"",
        request: str = "",
        **more: Any,
    ) -> pb.ReserveResponse:
        """Try to get a token; commit it if that is granted."""
        request = request or f"request {next(_requests)}"
        answer: pb.ReserveResponse = await self.stub.Reserve(
            reserve(
                request,
                subject=user,
                body=body,
                client=pb.Client(address=address, http_headers=headers),
                **more,
            )
        )
        if answer.HasField("reservation"):
            await self.stub.Commit(commit(request, subject=user, now=self.clock.now))
        return answer

    async def guess(self, address: str = OFFICE, *, credential: bytes | None = None) -> None:
        """Send credentials that are wrong: ever others, if not told which."""
        guessed = b"guess %d" % next(_requests)
        await self.stub.Report(
            pb.ReportRequest(
                outcome=pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
                fingerprint=guessed if credential is None else credential,
                client=pb.Client(address=address, http_headers=BROWSER),
            )
        )

    async def wrong_request(self, user: str, body: bytes, model: str = "") -> None:
        """Send a request that tokenservice refuses for its content."""
        await self.stub.Report(
            pb.ReportRequest(
                outcome=pb.ReportRequest.OUTCOME_REQUEST_REJECTED,
                subject=user,
                fingerprint=body,
                client=pb.Client(address=OFFICE, http_headers=BROWSER),
                content=pb.Content(model=model),
            )
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return policy with everything at its default."""
    clock, tape, page = StillClock(), Tape(), Page()
    store = MemoryStore(clock, lease_ms=30_000)
    address = f"unix:{tmp_path}/policy.sock"
    async with (
        serving_policy(address, store, page, recorder=tape, clock=clock),
        open_channel(address) as channel,
    ):
        yield World(policy_pb2_grpc.PolicyServiceStub(channel), clock, store, tape, page)


def granted(answer: pb.ReserveResponse) -> bool:
    """Whether a token may be minted."""
    return answer.HasField("reservation")


def abusive(answer: pb.ReserveResponse) -> bool:
    """Whether it was refused by a rule against abuse."""
    return answer.refusal.reason == pb.Refusal.REASON_ABUSE


class TestHonestClients:
    """What naive versions of the rules punish."""

    async def test_polling_usage_on_a_timer(self, world: World) -> None:
        """Reading usage every second for an hour changes nothing and costs nothing."""
        assert granted(await world.mint("ann"))
        for _ in range(200):
            world.clock.now += 1_000
            await world.stub.GetUsage(pb.GetUsageRequest(subject="ann"))
        world.clock.now += 5 * MINUTE
        assert granted(await world.mint("ann"))

    async def test_colleagues_behind_one_address(self, world: World) -> None:
        """18 colleagues with one address and one browser each get their own quota, all day."""
        team = [f"colleague {n}" for n in range(18)]
        for _ in range(10):
            assert all([granted(await world.mint(user)) for user in team])
            hasty = [await world.mint(user) for user in team]
            assert not any(granted(answer) or abusive(answer) for answer in hasty)
            world.clock.now += 6 * MINUTE
        assert not any([abusive(await world.mint(user)) for user in team])

    async def test_an_abusive_colleague_does_not_block_the_office(self, world: World) -> None:
        """One who hammers until blocked is blocked alone."""
        await world.mint("mallory")
        for _ in range(40):
            world.clock.now += 100
            last = await world.mint("mallory")
        assert last.refusal.reason == pb.Refusal.REASON_USER_BLOCKED
        assert granted(await world.mint("ann"))

    async def test_a_client_that_retries_as_it_was_told(self, world: World) -> None:
        """Whoever waits for retry_after is never abusive, however regular, for two days."""
        tokens = 0
        start = world.clock.now
        while world.clock.now < start + 48 * HOUR:
            answer = await world.mint("ann")
            if granted(answer):
                tokens += 1
                continue
            assert not abusive(answer)
            assert answer.refusal.retry_after_ms > 0
            world.clock.now += answer.refusal.retry_after_ms
        assert tokens == 200

    async def test_a_few_impatient_clicks(self, world: World) -> None:
        """Somebody who presses the button again and again sees the cooldown, no accusation."""
        await world.mint("ann")
        for pause in (700, 1_900, 450, 3_100, 900):
            world.clock.now += pause
            answer = await world.mint("ann")
            assert answer.refusal.reason == pb.Refusal.REASON_COOLDOWN
        world.clock.now += 5 * MINUTE
        assert granted(await world.mint("ann"))

    async def test_a_body_less_post(self, world: World) -> None:
        """The same empty request, as often as the limits allow it, is granted every time."""
        for _ in range(10):
            assert granted(await world.mint("ann", body=b""))
            world.clock.now += 6 * MINUTE

    async def test_a_timer_that_renews_tokens_to_the_millisecond(self, world: World) -> None:
        """A machine that keeps to its limits may be as regular as it likes."""
        for _ in range(100):
            assert granted(await world.mint("kiosk"))
            world.clock.now += 14 * MINUTE + 24_000

    async def test_a_trusted_proxy_that_adds_its_headers(self, world: World) -> None:
        """What a trusted proxy added is not among the client's headers, and refuses nobody."""
        assert granted(await world.mint("ann", headers=pb.HttpHeaders(names=["user-agent"])))

    async def test_a_service_without_http_headers(self, world: World) -> None:
        """A gRPC caller is not judged by headers it cannot have."""
        answer = await world.stub.Reserve(reserve("r", client=pb.Client(address=OFFICE)))
        assert granted(answer)

    async def test_five_slips_spread_over_hours(self, world: World) -> None:
        """Violations decay: wrong credentials now and then never block."""
        for _ in range(20):
            await world.guess()
            world.clock.now += 16 * MINUTE
        assert granted(await world.mint("ann"))

    async def test_a_stale_tab_does_not_block_its_office(self, world: World) -> None:
        """A tab that repeats one wrong credential for hours is one mistake, and blocks nobody."""
        for n in range(6 * 60):
            await world.guess(credential=b"stale")
            await world.guess(credential=b"another tab's")
            world.clock.now += MINUTE
            if n % 10 == 0:
                assert granted(await world.mint(f"colleague {n}"))

    async def test_a_stranger_whose_address_is_forged_is_not_blocked(self, world: World) -> None:
        """Guessing counts against the address it is believed to come from, and no other."""
        for _ in range(5):
            await world.guess(OFFICE)
        assert granted(await world.mint("bob", address=STRANGER))

    async def test_an_odd_proxy_is_refused_and_not_blocked(self, world: World) -> None:
        """Headers that an office's own proxy adds cost a clear answer, not two hours."""
        odd = pb.HttpHeaders(names=["user-agent", "x-forwarded-host"])
        for _ in range(10):
            answer = await world.mint("ann", headers=odd)
            assert (answer.refusal.reason, answer.refusal.rule) == (
                pb.Refusal.REASON_ABUSE,
                "suspicious_headers",
            )
        assert granted(await world.mint("ann"))


class TestAttacks:
    """What the rules are for."""

    async def test_guessing_credentials_blocks_the_address_for_two_hours(
        self, world: World
    ) -> None:
        """Five within an hour block to the millisecond; the end is told, the quota untouched."""
        for _ in range(5):
            assert granted(await world.mint(f"user {next(_requests)}"))
            await world.guess()
            world.clock.now += MINUTE
        since = world.clock.now - MINUTE
        until = since + 120 * MINUTE
        refusal = (await world.mint("ann")).refusal
        assert refusal.reason == pb.Refusal.REASON_ADDRESS_BLOCKED
        assert refusal.next_allowed_time == at(until)
        assert refusal.retry_after_ms == until - world.clock.now
        await world.guess()  # a further guess does not lengthen it
        world.clock.now = until - 1
        assert (await world.mint("ann")).refusal.retry_after_ms == 1
        usage = (await world.stub.GetUsage(pb.GetUsageRequest(subject="ann"))).usage
        assert usage.tokens_last_day == 0
        world.clock.now = until
        assert granted(await world.mint("ann"))

    async def test_guesses_between_a_stale_tabs_mistakes(self, world: World) -> None:
        """One credential again and again hides no others: the fifth of them blocks."""
        for n in range(5):
            assert granted(await world.mint(f"user {next(_requests)}")), n
            for _ in range(10):
                await world.guess(credential=b"stale")
            if n:
                await world.guess()
        assert (await world.mint("ann")).refusal.reason == pb.Refusal.REASON_ADDRESS_BLOCKED, (
            "one stale, four guesses"
        )

    async def test_credentials_without_a_digest_count_each_time(self, world: World) -> None:
        """A caller that tells nothing of them is not believed that they are the same."""
        for _ in range(5):
            await world.guess(credential=b"")
        answer = await world.mint("ann")
        assert answer.refusal.reason == pb.Refusal.REASON_ADDRESS_BLOCKED

    async def test_guessing_from_a_whole_ipv6_network_is_guessing_from_one_place(
        self, world: World
    ) -> None:
        """Addresses of one /64 count together."""
        for n in range(5):
            await world.guess(f"2001:db8:0:1::{n:x}")
        answer = await world.mint("ann", address="2001:db8:0:1:ffff::1")
        assert answer.refusal.reason == pb.Refusal.REASON_ADDRESS_BLOCKED
        assert granted(await world.mint("ann", address="2001:db8:0:2::1"))

    async def test_replaying_a_request(self, world: World) -> None:
        """The same request again and again, not waiting, is abuse and then a block."""
        chance = random.Random(7)  # noqa: S311 - a client's jitter
        await world.mint("mallory", body=b"same")
        seen = []
        for _ in range(30):
            world.clock.now += chance.randrange(100, 2_000)
            seen.append((await world.mint("mallory", body=b"same")).refusal)
        rules = [refusal.rule for refusal in seen if refusal.reason == pb.Refusal.REASON_ABUSE]
        assert rules
        assert set(rules) == {"identical_requests"}
        assert seen[-1].reason == pb.Refusal.REASON_USER_BLOCKED
        assert seen[-1].retry_after_ms > 0

    async def test_enumerating_parameters(self, world: World) -> None:
        """Ever other bodies, refused for their content, are abuse and then a block."""
        for n in range(20):
            world.clock.now += 1_000 + 37 * n * n
            await world.wrong_request("mallory", b"model %d" % n)
        assert (await world.mint("mallory")).refusal.reason == pb.Refusal.REASON_USER_BLOCKED
        assert granted(await world.mint("ann"))

    async def test_machine_timing(self, world: World) -> None:
        """A client that does not wait, at intervals no person keeps, is abuse."""
        await world.mint("bot")
        seen = set()
        for n in range(14):
            world.clock.now += 1_000 + n % 3
            seen.add((await world.mint("bot", body=b"%d" % (n % 4))).refusal.rule)
        assert "machine_timing" in seen

    async def test_volume(self, world: World) -> None:
        """More than a hundred tries in ten minutes are too many."""
        findings = [
            found
            for _ in range(110)
            for found in (await self._hasty(world))
            if found["rule"] == "volume" and found["broken"]
        ]
        assert findings

    @staticmethod
    async def _hasty(world: World) -> list[dict[str, Any]]:
        world.clock.now += 5_000
        await world.stub.Report(
            pb.ReportRequest(
                outcome=pb.ReportRequest.OUTCOME_REQUEST_REJECTED, subject="m", fingerprint=b"x"
            )
        )
        found: list[dict[str, Any]] = world.tape.entries[-1]["findings"]
        return found

    async def test_spoofed_headers_are_refused(self, world: World) -> None:
        """Headers that only a proxy may send, from one that is none, are refused each time."""
        for name in ("x-forwarded-host", "x-originating-ip", "x-cluster-client-ip"):
            answer = await world.mint("mallory", headers=pb.HttpHeaders(names=["user-agent", name]))
            assert answer.refusal.rule == "suspicious_headers"

    async def test_a_request_without_user_agent_is_refused(self, world: World) -> None:
        """The required header is required."""
        answer = await world.mint("bot", headers=pb.HttpHeaders(names=["accept"]))
        assert answer.refusal.rule == "required_headers"
        usage = (await world.stub.GetUsage(pb.GetUsageRequest(subject="bot"))).usage
        assert usage.tokens_last_hour == 0

    @pytest.mark.parametrize(
        "instruction", ["process.exit(1)", "use eval(x)", "require('fs')", "fs.readFile", "EXEC(1)"]
    )
    async def test_code_in_an_instruction_is_refused(self, world: World, instruction: str) -> None:
        """Fragments of code in an instruction are refused and count as violations."""
        content = pb.Content(system_instruction=instruction)
        answer = await world.mint("mallory", content=content)
        assert answer.refusal.rule == "suspicious_content"
        for _ in range(4):
            await world.mint("mallory", content=content)
        assert (await world.mint("mallory")).refusal.reason == pb.Refusal.REASON_USER_BLOCKED

    async def test_a_path_for_a_model_is_a_violation(self, world: World) -> None:
        """Model names with path characters, which tokenservice refuses, add up to a block."""
        for n in range(5):
            world.clock.now += 60_000 + n * n * 1_000
            await world.wrong_request("mallory", b"same", model="../../etc/passwd")
        assert (await world.mint("mallory")).refusal.reason == pb.Refusal.REASON_USER_BLOCKED

    async def test_a_block_outlives_its_violations_and_not_its_end(self, world: World) -> None:
        """After the block the user starts with a clean slate."""
        for _ in range(5):
            await world.mint("mallory", content=pb.Content(system_instruction="eval(1)"))
        blocked = (await world.mint("mallory")).refusal
        assert blocked.retry_after_ms == 120 * MINUTE
        world.clock.now += 120 * MINUTE
        assert granted(await world.mint("mallory"))
        for _ in range(4):
            await world.mint("mallory", content=pb.Content(system_instruction="eval(1)"))
        world.clock.now += 5 * MINUTE
        assert granted(await world.mint("mallory"))


async def dry_run(world: World, *, address: str = OFFICE, **more: Any) -> pb.ReserveResponse:
    """Ask what would be decided."""
    client = pb.Client(address=address, http_headers=BROWSER)
    answer: pb.ReserveResponse = await world.stub.Reserve(
        reserve(f"dry {next(_requests)}", dry_run=True, client=client, **more)
    )
    return answer


def by_rule(answer: pb.ReserveResponse) -> dict[str, pb.RuleVerdict]:
    """Return a dry run's verdicts."""
    return {verdict.rule: verdict for verdict in answer.verdicts}


async def test_a_dry_run_that_would_be_granted_is_broken_by_no_past(world: World) -> None:
    """What a user did counts until it is forgotten, and refuses nobody who keeps to the limits."""
    await world.mint("ann", body=b"same")
    for _ in range(13):
        world.clock.now += 1_500
        last = await world.mint("ann", body=b"same")
    assert abusive(last)
    world.clock.now += 5 * MINUTE - 13 * 1_500
    answer = await dry_run(world, subject="ann", body=b"same")
    assert granted(answer)
    verdicts = by_rule(answer)
    patterns = ("volume", "identical_requests", "parameter_enumeration", "machine_timing")
    assert {verdicts[name].verdict for name in patterns} == {pb.RuleVerdict.VERDICT_PASS}
    assert not any(verdicts[name].HasField("next_allowed_time") for name in patterns)
    seen = verdicts["volume"].observed
    assert (seen, verdicts["volume"].headroom) == (12, 88), "all but the first hasty one"
    assert verdicts["identical_requests"].headroom == 0
    world.clock.now += 5 * MINUTE + 19_499
    assert by_rule(await dry_run(world, subject="ann"))["volume"].observed == 1
    world.clock.now += 1
    assert by_rule(await dry_run(world, subject="ann"))["volume"].observed == 0
    assert granted(await world.mint("ann", body=b"same"))


async def test_a_dry_run_tells_how_near_a_block_is(world: World) -> None:
    """Violations count down to it; in force, there is no headroom left."""
    for left in (4, 3, 2, 1):
        await world.guess()
        block = by_rule(await dry_run(world))["address_block"]
        assert (block.observed, block.headroom) == (5 - left, left)
        assert block.verdict == pb.RuleVerdict.VERDICT_PASS
    await world.guess()
    block = by_rule(await dry_run(world))["address_block"]
    assert (block.verdict, block.headroom) == (pb.RuleVerdict.VERDICT_REFUSE, 0)
    assert block.next_allowed_time == at(world.clock.now + 2 * HOUR)


async def test_a_dry_run_tells_of_a_denied_address(world: World) -> None:
    """Whether the policy file denies the address has a verdict of its own; without one, none."""
    world.page.current = EffectivePolicy(denied=(ip_network("203.0.113.0/24"),))
    kind = pb.RuleVerdict
    for address, verdict in (
        (STRANGER, kind.VERDICT_REFUSE),
        (OFFICE, kind.VERDICT_PASS),
        ("", kind.VERDICT_NOT_APPLICABLE),
    ):
        answer = await dry_run(world, address=address)
        assert by_rule(answer)["address_denied"].verdict == verdict
        assert granted(answer) == (address != STRANGER)


async def test_a_dry_run_explains_and_changes_nothing(world: World) -> None:
    """It tells every rule's verdict and headroom, charges nothing, and is no try."""
    await world.mint("ann")
    request = reserve("dry", subject="ann", client=pb.Client(address=OFFICE, http_headers=BROWSER))
    request.dry_run = True
    before = (await world.stub.GetUsage(pb.GetUsageRequest(subject="ann"))).usage
    for _ in range(20):
        answer = await world.stub.Reserve(request)
    assert answer.refusal.reason == pb.Refusal.REASON_COOLDOWN
    verdicts = {verdict.rule: verdict for verdict in answer.verdicts}
    kind = pb.RuleVerdict
    assert verdicts["tokens_per_hour"].headroom == 9
    assert verdicts["tokens_per_day"].headroom == 99
    assert verdicts["cooldown"].verdict == kind.VERDICT_REFUSE
    assert verdicts["cooldown"].next_allowed_time == at(world.clock.now + 5 * MINUTE)
    block = verdicts["user_block"]
    assert (block.verdict, block.threshold, block.headroom) == (kind.VERDICT_PASS, 5, 5)
    assert verdicts["volume"].headroom == 100 - verdicts["volume"].observed
    assert verdicts["address_denied"].verdict == kind.VERDICT_PASS
    assert {
        "address_block",
        "volume",
        "identical_requests",
        "parameter_enumeration",
        "machine_timing",
        "required_headers",
        "suspicious_headers",
        "suspicious_content",
    } <= set(verdicts)
    assert (await world.stub.GetUsage(pb.GetUsageRequest(subject="ann"))).usage == before
    world.clock.now += 5 * MINUTE
    assert granted(await world.mint("ann"))
