"""The `policy` program as an operator's tool: against a real sidecar, and offline."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from policy_server import NOW, PSEUDONYMS, StillClock, Tape, commit, reserve

from policy import record
from policy.cli import commands as cli, options as cli_options
from policy.effective import EffectivePolicy, Tier
from policy.explain import Explainer
from policy.judge import Judge
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.operators import key as operator_key
from policy.operators.refused import MostRefused
from policy.operators.service import OperatorService
from policy.rules import Mode, Rules, VolumeRule
from policy.service import PolicyService
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import terminal
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

KEY = "an-operator-key-of-more-than-32-characters"
SERVICES = ["policy.v1.PolicyService", "policy.v1.OperatorService"]
MINUTE = 60_000
ANN = PSEUDONYMS.user("ann")
HOME = PSEUDONYMS.address("203.0.113.7")
DENIED = PSEUDONYMS.address("192.0.2.7")
POLICY = EffectivePolicy(
    default=Tier(
        limits=Limits(tokens_per_hour=3, cooldown_ms=5 * MINUTE),
        rules=Rules(volume=VolumeRule(mode=Mode.SHADOW)),
    ),
    denied=(ip_network("192.0.2.0/24"),),
    yaml="version: 1\n",
    digest="5d41402a",
)


@dataclass
class Book:
    """A policy in force."""

    current: EffectivePolicy = POLICY
    loaded_at: int = NOW - MINUTE
    rejected: str = ""


@dataclass
class Ran:
    """What became of a command."""

    code: int
    out: str
    err: str


@dataclass
class Sidecar:
    """A running policy and the operator's terminal."""

    target: str
    clock: StillClock
    book: Book
    stub: Any
    capture: pytest.CaptureFixture[str]
    tape: Tape = field(default_factory=Tape)

    async def policy(self, *arguments: str) -> Ran:
        """Run a command in a thread, while the sidecar serves in this one."""
        return await asyncio.to_thread(run, self.capture, *arguments)

    async def mint(self, subject: str = "ann") -> None:
        """Issue a token."""
        await self.stub.Reserve(reserve(subject=subject, content=pb.Content(model="m")))
        await self.stub.Commit(commit(subject=subject, now=self.clock.now))


def run(capture: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run a command."""
    capture.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert isinstance(ended.value.code, int)
    said = capture.readouterr()
    return Ran(ended.value.code, said.out, said.err)


@pytest.fixture
async def sidecar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sidecar]:
    """Serve policy, and set up an operator's environment."""
    clock, book, tape = StillClock(), Book(), Tape()
    store = MemoryStore(clock, lease_ms=30_000)
    explainer = Explainer(store, book)
    refused = MostRefused(clock)
    policy = PolicyService(Judge(store, book), explainer, PSEUDONYMS, tape, clock, refused=refused)
    operator = OperatorService(
        store, explainer, book, PSEUDONYMS, recorder=tape, clock=clock, refused=refused
    )

    def add(server: grpc.aio.Server) -> None:
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(policy, server)
        operator_key.add_to_server(operator, server, key=KEY)

    target = f"unix:{tmp_path}/policy.sock"
    monkeypatch.setenv("POLICY_TARGET", target)
    monkeypatch.setenv("POLICY_OPERATOR_KEY", KEY)
    monkeypatch.setenv("USER", "olga")
    monkeypatch.setattr(cli_options, "now", clock)
    with structlog.testing.capture_logs():
        async with (
            grpc_server(
                [target],
                add,
                health=HealthBoard(SERVICES),
                services=SERVICES,
                interceptors=[RequestInterceptor()],
                grace=1,
            ),
            open_channel(target) as channel,
        ):
            stub = policy_pb2_grpc.PolicyServiceStub(channel)
            yield Sidecar(target, clock, book, stub, capsys, tape)


async def test_blocks(sidecar: Sidecar) -> None:
    """A block is added, listed with its end, lifted; each is told to the record by actor."""
    assert (await sidecar.policy("blocks", "list")).out == "No blocks.\n"
    why = ("--reason", "shares tokens")
    added = await sidecar.policy("blocks", "add", "--user", "ann", "--for", "1h20m", *why)
    assert added == Ran(0, f"Blocked user {ANN} until 2026-01-01 01:20:00Z (in 1 h 20 min).\n", "")
    until = ("--until", "2026-01-02T01:00:00+01:00", "--actor", "otto", *why)
    added = await sidecar.policy("blocks", "add", "--address", "203.0.113.7", *until)
    assert added.out == f"Blocked address {HOME} until 2026-01-02 00:00:00Z (in 1 d).\n"
    sidecar.clock.now += 20 * MINUTE
    began = "2026-01-01 00:00:00Z"
    assert (await sidecar.policy("blocks", "list")).out.splitlines() == [
        f"{'WHO':24}  {'UNTIL':37}  {'SINCE':20}  BY    REASON",
        f"address {HOME}  2026-01-02 00:00:00Z (in 23 h 40 min)  {began}  otto  shares tokens",
        f"user {ANN}     {'2026-01-01 01:20:00Z (in 1 h)':37}  {began}  olga  shares tokens",
    ]
    listed = json.loads((await sidecar.policy("blocks", "list", "--json")).out)
    assert [block["actor"] for block in listed["blocks"]] == ["otto", "olga"]
    assert listed["blocks"][1]["party"] == {"user_pseudonym": ANN}
    lift = ("blocks", "lift", "--user-pseudonym", ANN, "--reason", "a mistake")
    assert (await sidecar.policy(*lift)).out == "Lifted.\n"
    assert (await sidecar.policy(*lift)).out == "There was no block.\n"
    assert json.loads((await sidecar.policy(*lift, "--json")).out) == {"lifted": False}
    assert [entry["actor"] for entry in sidecar.tape.entries][:3] == ["olga", "otto", "olga"]


async def test_who_was_refused(sidecar: Sidecar) -> None:
    """Who was refused most comes first, by pseudonym, with how often, when last and by what."""
    began = "2026-01-01 00:00:00Z"
    assert (await sidecar.policy("refused")).out == f"Nobody was refused since {began}.\n"
    await sidecar.mint()
    for _ in range(12):
        await sidecar.stub.Reserve(reserve("again"))
    await sidecar.stub.Reserve(
        reserve("r", subject="bob", client=pb.Client(address="192.0.2.7")),
    )
    sidecar.clock.now += MINUTE
    assert (await sidecar.policy("refused")).out.splitlines() == [
        f"Refused since {began}:",
        f"{'WHO':24}  REFUSED  {'LAST':32}  BY",
        f"user {ANN}          12  {began} (1 min ago)  cooldown",
        f"address {DENIED}        1  {began} (1 min ago)  address_denied",
    ]
    assert len((await sidecar.policy("refused", "--most", "1")).out.splitlines()) == 3
    listed = json.loads((await sidecar.policy("refused", "--json")).out)
    assert [each["refusals"] for each in listed["parties"]] == [12, 1]
    assert (await sidecar.policy("refused", "--most", "101")).code == 2


async def test_a_user(sidecar: Sidecar) -> None:
    """A user's usage, next token, violations and block are shown; a reset forgets them."""
    await sidecar.mint()
    sidecar.clock.now += MINUTE
    why = ("--reason", "r", "--user", "ann")
    await sidecar.policy("blocks", "add", "--for", "30m", *why)
    shown = await sidecar.policy("user", "show", "--user", "ann")
    assert shown.out.splitlines() == [
        f"User        {ANN}",
        "Last hour   1 of 3 tokens",
        "Last day    1 of 100 tokens",
        "Unexpired   1",
        "Cooldown    5 min",
        "Next token  2026-01-01 00:05:00Z (in 4 min)",
        "            tokens_per_hour: now",
        "            tokens_per_day: now",
        "            cooldown: 2026-01-01 00:05:00Z (in 4 min)",
        "Violations  0",
        "Block       until 2026-01-01 00:31:00Z (in 30 min), by olga: r",
    ]
    usage = json.loads((await sidecar.policy("user", "show", "--user", "ann", "--json")).out)
    assert usage["usage"]["tokens_last_hour"] == 1
    assert (await sidecar.policy("user", "reset", *why)).out == f"Reset user {ANN}.\n"
    shown = await sidecar.policy("user", "show", "--user-pseudonym", ANN)
    assert "Next token  now" in shown.out
    assert "Block       none" in shown.out


async def test_explaining(sidecar: Sidecar) -> None:
    """The decision comes first, in a sentence; then each limit and rule and what it looks at."""
    await sidecar.mint()
    sidecar.clock.now += MINUTE
    told = (await sidecar.policy("explain", "--user", "ann", "--no-headers")).out
    assert told.startswith(
        "It would be refused: the rule required_headers; waiting would not help.\n"
    )
    told = (await sidecar.policy("explain", "--user", "ann", "--header", "User-Agent")).out
    lines = told.splitlines()
    assert lines[0] == (
        "It would be refused: less than 5 min after the last token; "
        "it would pass at 2026-01-01 00:05:00Z (in 4 min)."
    )
    rows = {line.split()[0]: line.split() for line in lines[3:]}
    assert rows["tokens_per_hour"] == ["tokens_per_hour", "enforce", "pass", "1", "3", "2"]
    assert rows["cooldown"][:8] == ["cooldown", "enforce", "REFUSE", "4", "min", "5", "min", "0"]
    assert rows["volume"] == ["volume", "shadow", "pass", "0", "100", "100"]
    assert rows["user_block"] == ["user_block", "enforce", "pass", "0", "5", "5"]
    assert rows["address_denied"] == ["address_denied", "enforce", "–"]  # noqa: RUF001 - a dash
    assert rows["required_headers"][1:3] == ["enforce", "pass"]
    assert rows["suspicious_content"][1:] == ["enforce", "–"]  # noqa: RUF001 - a dash
    told = (await sidecar.policy("explain", "--count", "3")).out
    assert told.startswith("It would be granted: 3 tokens.\n")
    told = (await sidecar.policy("explain", "--address", "192.0.2.1")).out
    assert told.startswith("It would be refused: the address is blocked, or denied")
    told = (await sidecar.policy("explain", "--model", "../m")).out
    assert told.startswith("It would be refused: the rule suspicious_content;")
    told = (await sidecar.policy("explain", "--count", "4", "--json")).out
    assert json.loads(told)["decision"]["refusal"]["reason"] == "REASON_TOKENS_PER_HOUR"


async def test_the_policy_in_force(sidecar: Sidecar) -> None:
    """What is shown is a policy file; that a newer one was refused is a comment in it."""
    sidecar.book.rejected = "policy.yaml:3: limits.x: must not be there\npolicy.yaml:4: y"
    assert (await sidecar.policy("show")).out.splitlines() == [
        "# in force since 2025-12-31 23:59:00Z (1 min ago)",
        "# sha256 5d41402a",
        "# the newest file is not in force:",
        "#   policy.yaml:3: limits.x: must not be there",
        "#   policy.yaml:4: y",
        "version: 1",
    ]
    assert json.loads((await sidecar.policy("show", "--json")).out)["digest"] == "5d41402a"


async def test_where_the_key_comes_from(
    sidecar: Sidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is in the environment or in a file, and one that is wrong is told so."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    monkeypatch.setenv("POLICY_OPERATOR_KEY", "another-key")
    wrong = await sidecar.policy("show")
    assert wrong == Ran(1, "", "policy: Calls to the operator service need the operator key.\n")
    assert (await sidecar.policy("show", "--key-file", str(path))).code == 0
    monkeypatch.delenv("POLICY_OPERATOR_KEY")
    none = await sidecar.policy("show")
    assert (none.code, none.err.count("\n")) == (1, 1)
    assert none.err.startswith("policy: no operator key: set POLICY_OPERATOR_KEY or")
    monkeypatch.setenv("POLICY_OPERATOR_KEY_FILE", str(path))
    assert (await sidecar.policy("show")).code == 0
    missing = await sidecar.policy("show", "--key-file", str(tmp_path / "none"))
    assert missing.err.endswith("none: No such file or directory\n")
    path.write_text("two\nlines")
    assert (await sidecar.policy("show")).err == (
        "policy: the operator key must be one line of ASCII\n"
    )


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ("blocks add --for 2h --reason r", 2, "give one of --user, --user-pseudonym, --address"),
        ("blocks add --user a --address b --for 2h --reason r", 2, "give one of --user"),
        ("blocks add --user a --reason r", 2, "give one of --for, --until"),
        ("blocks add --user a --for 2h --until 2027-01-01T00:00:00Z --reason r", 2, "give one of"),
        ("blocks add --user a --for 2w --reason r", 2, "--for: must be like 30m"),
        ("blocks add --user a --until soon --reason r", 2, "--until: must be like"),
        ("blocks add --user a --until 2026-01-01T00:00:00 --reason r", 2, "must have a time zone"),
        ("blocks add --user a --for 2h", 2, "Missing option '--reason'"),
        ("blocks add --user a --for 400d --reason r", 1, "expire_time: must be in the future"),
        ("blocks add --address a --for 2h --reason r", 1, "party.address: must be an IP address"),
        ("blocks lift --user-pseudonym a --reason r", 1, "party.user_pseudonym: must be"),
        ("user show", 2, "give one of --user, --user-pseudonym"),
        ("user show --address 10.0.0.1", 2, "No such option"),
        ("explain --count 0", 2, "Invalid value for '--count'"),
        ("explain --address nowhere", 1, "client.address: must be an IP address"),
        ("nothing", 2, "No such command 'nothing'"),
        ("show --target unix:/nowhere/policy.sock", 1, "cannot reach policy at unix:/nowhere"),
        ("show --target 127.0.0.1:1", 1, "cannot reach policy at 127.0.0.1:1"),
    ],
)
async def test_what_goes_wrong_is_one_line(
    sidecar: Sidecar, arguments: str, code: int, said: str
) -> None:
    """Wrong usage ends with 2, a refused or failed call with 1; either is one line."""
    ran = await sidecar.policy(*arguments.split())
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert ran.err.startswith("policy: ")
    assert said in ran.err


@pytest.mark.parametrize(
    "millis, text",
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (61_500, "1 min 1 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (4_800_000, "1 h 20 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(millis: int, text: str) -> None:
    """A length of time is told by its two largest units."""
    assert terminal.span(millis) == text


def test_foreign_text_moves_no_cursor() -> None:
    """What came from elsewhere cannot write over a terminal."""
    assert terminal.plain("a\x1b[2Jb\nc") == "a?[2Jb?c"


GOOD = "version: 1\nlimits:\n  tokens_per_hour: 2\n  cooldown_minutes: 0\n"
BAD = "version: 1\nlimits:\n  tokens_per_hour: 0\n  tokens_per_year: 1\n"


def test_a_policy_file_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good file exits 0; a bad one exits 1 with a line for each problem."""
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    good = run(capsys, "validate", str(path))
    assert (good.code, good.err) == (0, "")
    assert good.out.startswith(f"{path} is valid. Tiers: none. sha256 ")
    assert json.loads(run(capsys, "validate", str(path), "--json").out)["valid"] is True
    path.write_text(BAD)
    bad = run(capsys, "validate", str(path))
    assert (bad.code, bad.out.count("\n"), bad.err) == (1, 2, "")
    assert f"{path}:3: limits.tokens_per_hour: must be at least 1\n" in bad.out
    report = json.loads(run(capsys, "validate", str(path), "--json").out)
    assert (report["valid"], report["problems"]) == (False, bad.out.splitlines())
    path.write_bytes(b"\xff")
    assert run(capsys, "validate", str(path)).code == 1
    assert run(capsys, "validate", str(tmp_path / "none")).code == 2
    monkeypatch.setenv("LIVE_API_MAX_TOKENS_PER_HOUR", "ten")
    setting = run(capsys, "validate", str(path))
    assert (setting.code, setting.err[:38]) == (2, "policy: LIVE_API_MAX_TOKENS_PER_HOUR: ")


async def test_a_replay(sidecar: Sidecar, tmp_path: Path) -> None:
    """Real decisions against a file: a table by rule, totals, examples, notes; or JSON."""
    for _ in range(3):
        for subject in ("ann", "bob"):
            await sidecar.mint(subject)
        sidecar.clock.now += 10 * MINUTE
    log, file = tmp_path / "decisions.jsonl", tmp_path / "policy.yaml"
    entries = [record.started(NOW, store="memory", digest="d"), *sidecar.tape.entries]
    log.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + "half a li")
    file.write_text("version: 1\nlimits:\n  tokens_per_hour: 1\n")
    ran = await sidecar.policy("replay", str(log), "--policy", str(file), "--examples", "1")
    assert (ran.code, ran.err) == (0, "")
    newly = [entry["decision_id"] for entry in sidecar.tape.entries if "decision_id" in entry]
    assert ran.out.splitlines() == [
        "6 decisions about 2 users, 2026-01-01 00:00:00Z to 2026-01-01 00:20:00Z.",
        "4 would be refused and 0 granted that were not; 2 users would be affected.",
        "",
        "RULE             LOGGED REFUSED  CANDIDATE REFUSED  NEWLY REFUSED  NEWLY GRANTED",
        "tokens_per_hour               0                  4              4              0",
        "total                         0                  4              4              0",
        "",
        "For example:",
        f"  tokens_per_hour, newly refused: {newly[2]}",
        "",
        "Note: lines that are no entries and were left out: 1.",
        f"  {log}:14: it is no JSON",
    ]
    told = await sidecar.policy("replay", str(log), "--policy", str(file), "--json")
    report = json.loads(told.out)
    assert (report["newly_refused"], report["users_affected"], report["malformed"]) == (4, 2, 1)
    assert report["rules"]["tokens_per_hour"]["newly_refused_examples"] == newly[2:5]
    file.write_text(BAD)
    bad = await sidecar.policy("replay", str(log), "--policy", str(file))
    assert (bad.code, bad.out, bad.err.count("\n")) == (1, "", 1)
    assert "(2 in all; see policy validate)" in bad.err


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_without_a_command_it_serves(arguments: list[str]) -> None:
    """`policy` and `policy serve` start the sidecar, whose settings are checked first."""
    environment = os.environ | {"POLICY_LEASE_MS": "soon"}
    ran = subprocess.run(
        [sys.executable, "-m", "policy.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("policy: POLICY_LEASE_MS: ")
    assert ran.stderr.count("\n") == 1


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has help; a group without a command shows it and exits 2."""
    for path in ([], ["blocks"], ["blocks", "add"], ["user"], ["explain"], ["replay"]):
        helped = run(capsys, *path, "--help")
        assert (helped.code, helped.err) == (0, "")
        assert helped.out.startswith("Usage: policy")
    bare = run(capsys, "blocks")
    assert (bare.code, bare.out) == (2, "")
    assert "lift" in bare.err
