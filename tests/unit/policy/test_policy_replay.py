"""A replay tells what another policy would have decided, and nothing where it is the same."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from policy_server import NOW, Page, StillClock, commit, key, reserve, serving_policy

from policy import record
from policy.decision_log import decision_log
from policy.effective import EffectivePolicy, Tier
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.replay import Report, replay
from policy.replay_log import merged, read
from policy.rules import (
    ContentRule,
    HeadersRule,
    IdenticalRule,
    Mode,
    Rules,
    VolumeRule,
)
from policy.standing import Blocking, Offender, Party
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

MINUTE = 60_000
HOUR = 60 * MINUTE
LIMITS = Limits(tokens_per_hour=3, tokens_per_day=10, cooldown_ms=MINUTE)
POLICY = EffectivePolicy(
    default=Tier(limits=LIMITS),
    tiers={"pro": Tier("pro", Limits(tokens_per_hour=30, tokens_per_day=90, cooldown_ms=0))},
    digest="logged",
)


class Sidecar:
    """A real policy, the clock it goes by, and the log it writes."""

    def __init__(self, stub: Any, clock: StillClock, store: MemoryStore, path: Path) -> None:
        """Talk through `stub`."""
        self.stub, self.clock, self.store, self.path = stub, clock, store, path
        self._numbers = iter(range(10**6))

    async def ask(self, subject: str = "ann", *, mint: bool = True, **more: Any) -> str:
        """Ask for a token, and commit what is granted; return the decision's id."""
        number = next(self._numbers)
        asked = {"request": f"r{number}", "owner": b"%08d" % number, "subject": subject} | more
        answer = await self.stub.Reserve(reserve(**asked))
        if mint and answer.HasField("reservation"):
            await self.commit(asked["request"], asked["owner"], subject)
        decision_id: str = answer.decision_id
        return decision_id

    async def commit(self, request: str, owner: bytes, subject: str = "ann") -> None:
        """Say that one token was minted."""
        await self.stub.Commit(commit(request, owner=owner, subject=subject, now=self.clock.now))

    async def report(
        self, outcome: Any, subject: str = "ann", address: str = "", fingerprint: bytes = b"f"
    ) -> None:
        """Tell of a try that ended before."""
        client = pb.Client(address=address)
        await self.stub.Report(
            pb.ReportRequest(
                outcome=outcome, subject=subject, fingerprint=fingerprint, client=client
            )
        )

    async def replayed(self, candidate: EffectivePolicy, *, last: int | None = None) -> Report:
        """Replay what was logged so far, or the last lines of it."""
        lines = self.path.read_text("utf-8").splitlines()
        return await replay(read(lines[-last:] if last else lines, "log"), candidate)


@pytest.fixture
def logged(
    tmp_path: Path,
) -> Callable[[EffectivePolicy, Callable[[Sidecar], Awaitable[Any]]], Any]:
    """Return a function that runs something on a sidecar with a policy until its log is whole."""

    async def run(policy: EffectivePolicy, work: Callable[[Sidecar], Awaitable[Any]]) -> Any:
        clock, path = StillClock(), tmp_path / "decisions.jsonl"
        store = MemoryStore(clock, lease_ms=20_000)
        address = f"unix:{tmp_path}/policy.sock"
        with decision_log(str(path)) as recorder:
            written: Any = recorder
            async with (
                serving_policy(address, store, Page(policy), recorder=written, clock=clock),
                open_channel(address) as channel,
            ):
                stub = policy_pb2_grpc.PolicyServiceStub(channel)
                sidecar = Sidecar(stub, clock, store, path)
                result = await work(sidecar)
        return sidecar, result

    return run


def changes(report: Report) -> dict[str, tuple[int, int]]:
    """Return what each rule would newly refuse, and newly grant."""
    return {
        name: (row.newly_refused, row.newly_granted)
        for name, row in report.rules.items()
        if row.newly_refused or row.newly_granted
    }


def candidate(limits: Limits | None = None, **rules: Any) -> EffectivePolicy:
    """Return the logged policy with other limits or rules."""
    changed = replace(POLICY.default.rules, **rules)
    return replace(POLICY, default=replace(POLICY.default, limits=limits or LIMITS, rules=changed))


@pytest.mark.parametrize("seed", range(4))
async def test_the_same_policy_changes_nothing(logged: Any, seed: int) -> None:
    """Whatever is asked, in whichever order, the judge decides on the replay as it did."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    rules = Rules(
        identical_requests=IdenticalRule(most=3, known=4),
        volume=VolumeRule(most=8, mode=Mode.SHADOW),
        blocking=Blocking(violations=3, block_ms=2 * MINUTE),
    )
    limits = replace(LIMITS, tokens_per_hour=5, concurrent_sessions=3, refunds_per_hour=0)
    policy = replace(POLICY, default=Tier(limits=limits, rules=rules))

    async def work(sidecar: Sidecar) -> None:
        rejected = pb.ReportRequest
        known: list[tuple[str, bytes, str, str]] = []
        for number in range(500):
            sidecar.clock.now += dice.choice([0, 1, 999, 999, 999, 5_000, 20_000, MINUTE])
            subject = dice.choice(["ann", "bob", "eve"])
            request, owner = f"r{number}", b"%08d" % number
            more: dict[str, Any] = {
                "body": dice.choice([b"a", b"a", b"a", b"b"]),
                "count": dice.choice([1, 1, 2]),
                "tier": dice.choice(["", "pro", "gold"]),
                "client": pb.Client(
                    address=dice.choice(["", "203.0.113.7", "2001:db8::7"]),
                    http_headers=pb.HttpHeaders(names=dice.choice([["user-agent"]] * 19 + [[]])),
                ),
                "content": pb.Content(model=dice.choice(["m"] * 19 + ["../m"])),
            }
            match dice.randrange(12):
                case 0:
                    await sidecar.report(rejected.OUTCOME_REQUEST_REJECTED, subject)
                case 1:
                    outcome = rejected.OUTCOME_CREDENTIALS_REJECTED
                    await sidecar.report(outcome, "", dice.choice(["203.0.113.7", "", "10.0.0.1"]))
                case 2 if known:
                    request, owner, subject, tier = dice.choice(known[-2:])
                    ambiguous = dice.random() < 0.5
                    named = key(request, owner=owner, subject=subject)
                    await sidecar.stub.Release(
                        pb.ReleaseRequest(key=named, tier=tier, ambiguous=ambiguous)
                    )
                case 3 | 4 if known:
                    request, owner, subject, _ = dice.choice(known)
                    await sidecar.stub.Reserve(
                        reserve(request, owner=b"%08d" % number, subject=subject, **more)
                    )
                case 5 | 6 if known:
                    request, owner, subject, _ = dice.choice(known)
                    await sidecar.commit(request, owner, subject)
                case _:
                    mint = dice.random() < 0.6
                    await sidecar.ask(subject, mint=mint, request=request, owner=owner, **more)
                    known.append((request, owner, subject, more["tier"]))

    sidecar, _ = await logged(policy, work)
    report = await sidecar.replayed(policy)
    assert changes(report) == {}
    assert report.refused_otherwise == 0
    assert (report.malformed, report.earlier_commits) == (0, 0)
    assert report.logged_refused == report.candidate_refused > 30
    assert {"cooldown", "concurrent_sessions", "identical_requests"} < set(report.rules)
    for row in report.rules.values():
        assert row.logged_shadow == row.candidate_shadow


async def test_a_stricter_limit(logged: Any) -> None:
    """One token an hour instead of three refuses those that were its second and third."""

    async def work(sidecar: Sidecar) -> list[str]:
        ids = []
        for _ in range(4):
            ids.append(await sidecar.ask())
            sidecar.clock.now += MINUTE
        await sidecar.ask("bob")
        return ids

    sidecar, ids = await logged(POLICY, work)
    report = await sidecar.replayed(candidate(replace(LIMITS, tokens_per_hour=1)))
    assert changes(report) == {"tokens_per_hour": (2, 0)}
    row = report.rules["tokens_per_hour"]
    assert (row.logged_refused, row.candidate_refused) == (1, 3)
    assert row.newly_refused_examples == ids[1:3]
    assert (report.users, report.users_affected, report.decisions) == (2, 1, 5)


async def test_a_looser_limit_charges_what_it_grants(logged: Any) -> None:
    """Five an hour grants two more; they count, so that a third is refused as before."""

    async def work(sidecar: Sidecar) -> list[str]:
        ids = []
        for _ in range(6):
            ids.append(await sidecar.ask())
            sidecar.clock.now += MINUTE
        return ids

    sidecar, ids = await logged(POLICY, work)
    report = await sidecar.replayed(candidate(replace(LIMITS, tokens_per_hour=5)))
    assert changes(report) == {"tokens_per_hour": (0, 2)}
    assert report.rules["tokens_per_hour"].newly_granted_examples == ids[3:5]
    assert report.rules["tokens_per_hour"].candidate_refused == 1


async def test_what_a_candidate_refuses_leaves_room(logged: Any) -> None:
    """A refused token is not charged: where the log met the limit, the candidate does not."""

    async def work(sidecar: Sidecar) -> None:
        for _ in range(4):
            await sidecar.ask()
            sidecar.clock.now += MINUTE

    sidecar, _ = await logged(POLICY, work)
    report = await sidecar.replayed(candidate(replace(LIMITS, cooldown_ms=2 * MINUTE)))
    # The first and third are granted; the second and fourth wait for the cooldown.
    assert changes(report) == {"cooldown": (1, 0)}
    assert report.rules["tokens_per_hour"].logged_refused == 1
    assert report.refused_otherwise == 1


async def test_a_tier_that_the_logged_policy_did_not_know(logged: Any) -> None:
    """A tier that was asked for is judged by, once the candidate has it."""

    async def work(sidecar: Sidecar) -> None:
        for _ in range(5):
            await sidecar.ask(tier="gold")

    sidecar, _ = await logged(POLICY, work)
    gold = {"gold": Tier("gold", Limits(tokens_per_hour=4, cooldown_ms=0))}
    report = await sidecar.replayed(replace(POLICY, tiers=gold))
    assert changes(report) == {"cooldown": (0, 3)}
    assert report.rules["tokens_per_hour"].candidate_refused == 1
    report = await sidecar.replayed(replace(POLICY, tiers={}))
    assert changes(report) == {}


async def test_a_pattern_and_its_block(logged: Any) -> None:
    """Another threshold of a rule, and another length of a block, tell what they would refuse."""
    tight = IdenticalRule(most=2, known=3)

    async def work(sidecar: Sidecar) -> None:
        for _ in range(8):
            await sidecar.ask()
            sidecar.clock.now += 1000
        sidecar.clock.now += HOUR
        await sidecar.ask()

    sidecar, _ = await logged(POLICY, work)
    report = await sidecar.replayed(candidate(identical_requests=tight))
    assert changes(report) == {}  # the cooldown had refused them all
    assert report.refused_otherwise == report.rules["identical_requests"].candidate_refused > 0
    blocking = Blocking(violations=1, block_ms=2 * HOUR)
    report = await sidecar.replayed(candidate(identical_requests=tight, blocking=blocking))
    assert changes(report) == {"user_blocked": (1, 0)}
    shadow = replace(tight, mode=Mode.SHADOW)
    report = await sidecar.replayed(candidate(identical_requests=shadow, blocking=blocking))
    assert changes(report) == {}
    assert report.rules["identical_requests"].candidate_shadow > 0


async def test_reports_are_replayed(logged: Any) -> None:
    """Wrong credentials, run again, block the address that they came from; one repeated, none."""
    wrong = pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED

    async def work(sidecar: Sidecar) -> None:
        for number in range(3):
            await sidecar.report(wrong, "", "203.0.113.7", b"guess %d" % number)
            await sidecar.report(wrong, "", "203.0.113.8", b"stale")
        await sidecar.ask("ann", client=pb.Client(address="203.0.113.7"))
        await sidecar.ask("bob", client=pb.Client(address="203.0.113.8"))

    sidecar, _ = await logged(POLICY, work)
    report = await sidecar.replayed(candidate(blocking=Blocking(violations=3)))
    assert changes(report) == {"address_blocked": (1, 0)}


async def test_headers_and_content(logged: Any) -> None:
    """Headers are judged again; of content, the logged finding is, in the candidate's mode."""
    off = ContentRule(mode=Mode.SHADOW)
    policy = candidate(suspicious_content=off)
    plain = HeadersRule(frozenset({"user-agent", "origin"}))

    async def work(sidecar: Sidecar) -> None:
        agent = pb.Client(http_headers=pb.HttpHeaders(names=["user-agent"]))
        await sidecar.ask("ann", client=agent)
        await sidecar.ask("bob", content=pb.Content(model="../m"))

    sidecar, _ = await logged(policy, work)
    report = await sidecar.replayed(replace(policy, default=Tier(limits=LIMITS)))
    assert changes(report) == {"suspicious_content": (1, 0)}
    assert (report.content_taken, report.content_judged) == (1, True)
    report = await sidecar.replayed(candidate(required_headers=plain, suspicious_content=off))
    assert changes(report) == {"required_headers": (1, 0)}


async def test_denied_addresses_stay_denied(logged: Any) -> None:
    """The log has no addresses, so a deny list cannot be run again, and it is said."""
    policy = replace(POLICY, denied=(ip_network("203.0.113.0/24"),))

    async def work(sidecar: Sidecar) -> None:
        await sidecar.ask("ann", client=pb.Client(address="203.0.113.7"))
        await sidecar.ask("ann", client=pb.Client(address="198.51.100.7"))

    sidecar, _ = await logged(policy, work)
    report = await sidecar.replayed(POLICY)
    assert changes(report) == {}
    assert report.denied == 1


async def test_a_repeat_after_what_a_candidate_refused(logged: Any) -> None:
    """A request that the log answered with its old token is a new one to the candidate."""

    async def work(sidecar: Sidecar) -> None:
        await sidecar.ask("ann", request="first", owner=b"ownerone")
        sidecar.clock.now += MINUTE
        await sidecar.ask("ann", request="again", owner=b"ownerone")
        sidecar.clock.now += MINUTE
        await sidecar.ask("ann", request="again", owner=b"ownertwo")

    sidecar, _ = await logged(POLICY, work)
    assert changes(await sidecar.replayed(POLICY)) == {}
    report = await sidecar.replayed(candidate(replace(LIMITS, cooldown_ms=2 * MINUTE)))
    assert changes(report) == {"cooldown": (1, 0)}


async def test_a_log_that_begins_in_the_middle(logged: Any) -> None:
    """Commits of reservations from before the log count, and the lack of them is told."""

    async def work(sidecar: Sidecar) -> None:
        for _ in range(3):
            await sidecar.ask()
            sidecar.clock.now += 2 * MINUTE
        await sidecar.ask()

    sidecar, _ = await logged(POLICY, work)
    report = await sidecar.replayed(POLICY, last=4)  # a commit, a token, a refusal
    assert (report.earlier_commits, report.decisions, report.whole) == (1, 2, False)
    assert changes(report) == {"tokens_per_hour": (0, 1)}
    strict = candidate(replace(LIMITS, tokens_per_hour=1))
    assert changes(await sidecar.replayed(strict, last=4)) == {"tokens_per_hour": (1, 0)}


async def test_lines_that_are_no_entries(logged: Any) -> None:
    """They are counted and pointed at, never quoted, and the rest is replayed."""

    async def work(sidecar: Sidecar) -> None:
        await sidecar.ask()

    sidecar, _ = await logged(POLICY, work)
    good = sidecar.path.read_text("utf-8").splitlines()
    bad = [
        '{"v":1,"eve',
        "[]",
        "7",
        '{"event":"decision"}',
        '{"v":2,"event":"decision"}',
        '{"v":1,"at":1,"event":"party"}',
        good[0].replace('"count":1', '"count":"canary"'),
        good[0].replace('"fingerprint":"', '"fingerprint":"xx'),
        good[0].replace('"findings":[', '"findings":[7,'),
        good[0].replace('"at":1', '"at":1000000'),
        "[" * 100_000,
    ]
    report = await replay(read([*bad, "", *good], "log"), POLICY, examples=100)
    assert (report.malformed, report.decisions) == (len(bad), 1)
    assert report.malformed_examples[0] == "log:1: it is no JSON"
    assert report.malformed_examples[3] == "log:4: it has no v"
    assert "canary" not in "".join(report.malformed_examples)


async def test_replicas_logs_are_one(logged: Any) -> None:
    """The logs of two replicas, or of one that was rotated, are read in order of time."""

    async def work(sidecar: Sidecar) -> None:
        for _ in range(6):
            await sidecar.ask()
            sidecar.clock.now += 30_000

    sidecar, _ = await logged(POLICY, work)
    lines = sidecar.path.read_text("utf-8").splitlines()
    whole = await sidecar.replayed(candidate(replace(LIMITS, cooldown_ms=0)))
    halves = [read(lines[6:], "b"), read(lines[:6], "a")]
    assert await replay(merged(halves), candidate(replace(LIMITS, cooldown_ms=0))) == whole
    assert changes(whole)


async def test_traces_make_no_difference(logged: Any) -> None:
    """An entry that names its trace is read as one of an older version, which does not."""

    async def work(sidecar: Sidecar) -> None:
        await sidecar.ask()
        await sidecar.ask()

    sidecar, _ = await logged(POLICY, work)
    old = sidecar.path.read_text("utf-8").splitlines()
    new = [line[:-1] + f',"trace_id":"{"a" * 32}"}}' for line in old]
    assert all(json.loads(line)["trace_id"] for line in new)
    assert list(read(new, "log")) == list(read(old, "log"))


async def test_what_operators_did_is_done_again(logged: Any) -> None:
    """Blocks, their end by hand, and resets are part of the log."""

    async def work(sidecar: Sidecar) -> None:
        await sidecar.ask()

    sidecar, _ = await logged(POLICY, work)
    (decision, committed) = sidecar.path.read_text("utf-8").splitlines()
    user = Offender(Party.USER, json.loads(decision)["user"])

    def change(event: str, **more: Any) -> str:
        return json.dumps(record.change(NOW, event, user, reason="r", actor="a", digest="d") | more)

    started = json.dumps(record.started(NOW, store="memory", digest="d"))

    async def run(*lines: str) -> Report:
        return await replay(read(lines, "log"), POLICY)

    block = change("block_added", until=NOW + HOUR)
    assert changes(await run(block, decision)) == {"user_blocked": (1, 0)}
    assert changes(await run(block, change("block_lifted"), decision)) == {}
    again = decision.replace('"request":"', '"request":"00')
    assert changes(await run(decision, committed, again)) == {"cooldown": (1, 0)}
    assert changes(await run(decision, committed, change("user_reset"), again)) == {}
    report = await run(started, decision, committed, started, again)
    assert changes(report) == {}
    assert report.whole
