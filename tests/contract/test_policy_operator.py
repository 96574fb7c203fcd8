"""The operator service through its API, on a real server over a Unix socket."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from policy_server import NOW, PSEUDONYMS, StillClock, Tape, at

from policy.degraded import DegradingStore
from policy.effective import EffectivePolicy, Tier
from policy.explain import Explainer
from policy.judge import Judge
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.operators import key as operator_key
from policy.operators.service import OperatorService
from policy.record import FORMAT
from policy.rules import Rule
from policy.service import PolicyService
from policy.standing import Blocking, Offender, Party
from policy.v1 import operator_pb2 as pb, operator_pb2_grpc, policy_pb2, policy_pb2_grpc
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server
from serving.stores import StoreUnavailable

HOUR = 3_600_000
KEY = "correct-horse-battery-staple-0123456789"
BEARER = (("authorization", f"Bearer {KEY}"),)
SERVICES = ["policy.v1.PolicyService", "policy.v1.OperatorService"]
METHODS = list(pb.DESCRIPTOR.services_by_name["OperatorService"].methods)
SUBJECT = "canary-subject@example.com"
ADDRESS = "203.0.113.77"
LIMITS = Limits(tokens_per_hour=2, tokens_per_day=5, cooldown_ms=0)


POLICY = EffectivePolicy(
    default=Tier(limits=LIMITS),
    tiers={"pro": Tier("pro", Limits(tokens_per_hour=50, cooldown_ms=0))},
    exempt=(ip_network("10.0.0.0/8"),),
    yaml="version: 1\n",
    digest="5d41402a",
)


@dataclass
class Book:
    """A policy in force that no file changes."""

    current: EffectivePolicy = POLICY
    loaded_at: int = NOW - HOUR
    rejected: str = ""


class AwayStore(MemoryStore):
    """A store whose database is away."""

    def __getattribute__(self, name: str) -> Any:
        """Fail, whatever is asked."""
        if name.startswith("_"):
            return super().__getattribute__(name)

        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailable("no route to 10.0.0.7")

        return away


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def store(clock: StillClock) -> MemoryStore:
    """Return a store by that clock."""
    return MemoryStore(clock, lease_ms=30_000)


@pytest.fixture
def book() -> Book:
    """Return the policy in force."""
    return Book()


@pytest.fixture
def notes() -> Tape:
    """Return what is recorded."""
    return Tape()


@pytest.fixture
def key() -> str | None:
    """Return the operator key that policy was started with."""
    return KEY


@pytest.fixture
async def channel(
    tmp_path: Path,
    store: MemoryStore,
    book: Book,
    notes: Tape,
    *,
    clock: StillClock,
    key: str | None,
) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel to a sidecar with both services."""
    explainer = Explainer(store, book)
    policy = PolicyService(Judge(store, book), explainer, PSEUDONYMS, notes, clock)
    operator = OperatorService(store, explainer, book, PSEUDONYMS, recorder=notes, clock=clock)

    def add(server: grpc.aio.Server) -> None:
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(policy, server)
        operator_key.add_to_server(operator, server, key=key)

    address = f"unix:{tmp_path}/policy.sock"
    async with (
        grpc_server(
            [address],
            add,
            health=HealthBoard(SERVICES),
            services=SERVICES,
            interceptors=[RequestInterceptor()],
            grace=1,
        ),
        open_channel(address) as opened,
    ):
        yield opened


@pytest.fixture
def operator(channel: grpc.aio.Channel) -> Callable[..., Any]:
    """Return a call by an operator: the method's name, the request."""
    stub: Any = operator_pb2_grpc.OperatorServiceStub(channel)

    async def call(method: str, request: Any) -> Any:
        return await getattr(stub, method)(request, metadata=BEARER)

    return call


def block(party: pb.Party | None = None, **changed: Any) -> pb.AddBlockRequest:
    """Ask for a block."""
    asked: dict[str, Any] = {
        "reason": "shares tokens",
        "actor": "olga",
        "expire_time": at(NOW + HOUR),
    } | changed
    return pb.AddBlockRequest(party=party or pb.Party(subject=SUBJECT), **asked)


async def failed(call: Any) -> Any:
    """Return the error of a call, its violated field, and its reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = status_pb2.Status.FromString(
        dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    )
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for packed in status.details:
        packed.Unpack(info)
        packed.Unpack(bad)
    fields = [violation.field for violation in bad.field_violations]
    return caught.value.code(), info.reason, fields


async def refused_all(channel: grpc.aio.Channel, metadata: Any) -> set[Any]:
    """Call every method that the service's descriptor has; return how they fail."""
    outcomes = set()
    for method in METHODS:
        call: Any = channel.unary_unary(f"/policy.v1.OperatorService/{method.name}")
        code, reason, _ = await failed(call(b"", metadata=metadata))
        outcomes.add((code, reason))
    return outcomes


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer "),),
        (("authorization", f"Bearer {KEY}x"),),
        (("authorization", f"Bearer {KEY[:-1]}"),),
        (("authorization", f"Basic {KEY}"),),
        (("authorization", KEY),),
        (("authorization", f"Bearer {KEY}"), ("authorization", "Bearer x")),
        (("authorization-bin", f"Bearer {KEY}".encode()),),
    ],
)
async def test_every_method_is_refused_without_the_key(
    channel: grpc.aio.Channel, notes: Tape, metadata: Any
) -> None:
    """Whoever does not have the key is refused by each method that the API has, and any it gets."""
    assert len(METHODS) >= 7
    assert await refused_all(channel, metadata) == {
        (grpc.StatusCode.UNAUTHENTICATED, "NOT_AN_OPERATOR")
    }
    assert notes.entries == []


@pytest.mark.parametrize("key", [None])
async def test_without_a_configured_key_nobody_is_an_operator(channel: grpc.aio.Channel) -> None:
    """Where policy has no key, each method is refused and says which setting is missing."""
    for metadata in ((), BEARER, (("authorization", "Bearer None"),)):
        assert await refused_all(channel, metadata) == {
            (grpc.StatusCode.PERMISSION_DENIED, "OPERATOR_KEY_NOT_SET")
        }
    with pytest.raises(grpc.aio.AioRpcError, match="POLICY_OPERATOR_KEY"):
        await operator_pb2_grpc.OperatorServiceStub(channel).GetPolicy(pb.GetPolicyRequest())


async def test_policys_own_callers_need_no_key(channel: grpc.aio.Channel) -> None:
    """The key stands before operators' calls alone."""
    stub = policy_pb2_grpc.PolicyServiceStub(channel)
    await stub.GetStats(policy_pb2.GetStatsRequest())


async def test_a_block_refuses_until_it_is_lifted(
    channel: grpc.aio.Channel, operator: Callable[..., Any]
) -> None:
    """What an operator blocks gets nothing, with the block's end known, until lifted."""
    stub = policy_pb2_grpc.PolicyServiceStub(channel)

    async def reserve() -> policy_pb2.ReserveResponse:
        key = policy_pb2.ReservationKey(subject=SUBJECT, request_id="r", owner=b"ownerown")
        answer: policy_pb2.ReserveResponse = await stub.Reserve(
            policy_pb2.ReserveRequest(key=key, fingerprint=b"f", count=1)
        )
        return answer

    added = (await operator("AddBlock", block())).block
    assert added.party.user_pseudonym == PSEUDONYMS.user(SUBJECT)
    assert (added.reason, added.actor) == ("shares tokens", "olga")
    assert (added.create_time, added.expire_time) == (at(NOW), at(NOW + HOUR))
    refusal = (await reserve()).refusal
    assert refusal.reason == policy_pb2.Refusal.REASON_USER_BLOCKED
    assert refusal.next_allowed_time == at(NOW + HOUR)
    by_pseudonym = pb.Party(user_pseudonym=PSEUDONYMS.user(SUBJECT))
    lift = pb.LiftBlockRequest(party=by_pseudonym, reason="a mistake", actor="olga")
    assert (await operator("LiftBlock", lift)).lifted
    assert not (await operator("LiftBlock", lift)).lifted
    assert (await reserve()).HasField("reservation")


async def test_an_ipv6_address_stands_for_its_network(operator: Callable[..., Any]) -> None:
    """A block of one address of a /64 is found under any other; a mapped IPv4 one is IPv4."""
    await operator("AddBlock", block(pb.Party(address="2001:db8:1:2::1")))
    lift = pb.LiftBlockRequest(
        party=pb.Party(address="2001:DB8:1:2:ffff::9"), reason="over", actor="olga"
    )
    assert (await operator("LiftBlock", lift)).lifted
    added = await operator("AddBlock", block(pb.Party(address=f"::ffff:{ADDRESS}")))
    assert added.block.party.address_pseudonym == PSEUDONYMS.address(ADDRESS)


async def test_blocks_are_listed_page_by_page(
    operator: Callable[..., Any], store: MemoryStore
) -> None:
    """Pages hold every block once, last end first, and never one in shadow mode."""
    for number in range(7):
        party = pb.Party(subject=f"user {number}")
        await operator("AddBlock", block(party, expire_time=at(NOW + HOUR + number * 1000)))
        shadow = Offender(Party.USER, PSEUDONYMS.user(f"shadow {number}")).shadow()
        await store.offend(shadow, Rule.VOLUME, Blocking(violations=1, block_ms=HOUR + number))
    token, names = "", []
    for size in (3, 3, 1):
        page = await operator("ListBlocks", pb.ListBlocksRequest(page_size=3, page_token=token))
        assert len(page.blocks) == size
        names += [listed.party.user_pseudonym for listed in page.blocks]
        token = page.next_page_token
    assert token == ""
    assert names == [PSEUDONYMS.user(f"user {number}") for number in reversed(range(7))]
    everything = await operator("ListBlocks", pb.ListBlocksRequest())
    assert len(everything.blocks) == 7
    assert everything.next_page_token == ""


async def test_a_user_is_shown_and_reset(
    channel: grpc.aio.Channel, operator: Callable[..., Any], store: MemoryStore
) -> None:
    """GetUser shows usage by tier, violations and block; ResetUser forgets all of it."""
    stub = policy_pb2_grpc.PolicyServiceStub(channel)
    key = policy_pb2.ReservationKey(subject=SUBJECT, request_id="r", owner=b"ownerown")
    await stub.Reserve(policy_pb2.ReserveRequest(key=key, fingerprint=b"f", count=2))
    times: dict[str, Any] = {
        "token_expire_times": [at(NOW + HOUR)] * 2,
        "sealed_expire_time": at(NOW + 1),
    }
    await stub.Commit(policy_pb2.CommitRequest(key=key, **times))
    offender = Offender(Party.USER, PSEUDONYMS.user(SUBJECT))
    await store.offend(offender, Rule.VOLUME, Blocking())
    await store.offend(offender.shadow(), Rule.VOLUME, Blocking(violations=1))
    party = pb.Party(subject=SUBJECT)
    shown = await operator("GetUser", pb.GetUserRequest(party=party))
    assert shown.user_pseudonym == offender.name
    assert (shown.usage.tokens_last_hour, shown.usage.active_tokens) == (2, 2)
    assert shown.usage.next_allowed_time == at(NOW + HOUR)
    assert shown.usage.limits.tokens_per_hour == 2
    assert shown.violations == 1
    assert not shown.HasField("block")
    pro = await operator("GetUser", pb.GetUserRequest(party=party, tier="pro"))
    assert pro.usage.limits.tokens_per_hour == 50
    assert not pro.usage.HasField("next_allowed_time")
    await operator("AddBlock", block())
    assert (await operator("GetUser", pb.GetUserRequest(party=party))).block.reason
    reset = pb.ResetUserRequest(party=party, reason="asked for it", actor="olga")
    assert (await operator("ResetUser", reset)).user_pseudonym == offender.name
    shown = await operator("GetUser", pb.GetUserRequest(party=party))
    assert shown.usage.tokens_last_hour == 0
    assert not shown.HasField("block")
    assert await store.blocks(offset=0, count=10) == []


async def test_explaining_changes_nothing(
    operator: Callable[..., Any], notes: Tape, store: MemoryStore
) -> None:
    """Explain tells each limit and rule, for known and unknown users, and leaves no trace."""
    await operator("AddBlock", block(pb.Party(address=ADDRESS)))
    notes.entries.clear()
    nobody = (await operator("Explain", pb.ExplainRequest())).decision
    assert nobody.HasField("reservation")
    rules = {verdict.rule for verdict in nobody.verdicts}
    assert {"tokens_per_hour", "tokens_per_day", "volume", "suspicious_content"} <= rules
    client = policy_pb2.Client(address=ADDRESS, http_headers=policy_pb2.HttpHeaders())
    asked = pb.ExplainRequest(subject=SUBJECT, client=client, count=3, tier="pro")
    known = (await operator("Explain", asked)).decision
    assert known.refusal.reason == policy_pb2.Refusal.REASON_ADDRESS_BLOCKED
    by_rule = {verdict.rule: verdict for verdict in known.verdicts}
    assert by_rule["tokens_per_hour"].headroom == 50
    assert by_rule["required_headers"].verdict == policy_pb2.RuleVerdict.VERDICT_REFUSE
    assert len(store) == 0
    assert notes.entries == []


async def test_explaining_is_logged_by_its_decision(operator: Callable[..., Any]) -> None:
    """A dry run has an id, and what it would have decided is in the log under it."""
    with structlog.testing.capture_logs() as logged:
        answer = (await operator("Explain", pb.ExplainRequest(subject=SUBJECT))).decision
    (line,) = [line for line in logged if line["event"] == "dry_run"]
    assert (line["decision_id"], line["outcome"]) == (answer.decision_id, "reserved")
    assert line["user"] == PSEUDONYMS.user(SUBJECT)


async def test_the_policy_in_force_is_shown(operator: Callable[..., Any], book: Book) -> None:
    """GetPolicy shows the file in force, since when, and why a newer one is not."""
    book.rejected = "tiers.pro.tokensPerHour: must be at least 1"
    shown = await operator("GetPolicy", pb.GetPolicyRequest())
    assert shown == pb.GetPolicyResponse(
        yaml="version: 1\n", digest="5d41402a", load_time=at(NOW - HOUR), rejected=book.rejected
    )


async def test_every_change_is_told_without_a_name(
    operator: Callable[..., Any], notes: Tape
) -> None:
    """The log and the record hold who, why and a pseudonym: never a subject or an address."""
    why = {"reason": "asked for it", "actor": "olga"}
    with structlog.testing.capture_logs() as logged:
        for party in (pb.Party(subject=SUBJECT), pb.Party(address=ADDRESS)):
            await operator("AddBlock", block(party, **why))
            await operator("LiftBlock", pb.LiftBlockRequest(party=party, **why))
        await operator("ResetUser", pb.ResetUserRequest(party=pb.Party(subject=SUBJECT), **why))
        await operator("GetUser", pb.GetUserRequest(party=pb.Party(subject=SUBJECT)))
    names = {"user": PSEUDONYMS.user(SUBJECT), "address": PSEUDONYMS.address(ADDRESS)}
    told = [("block_added", "user"), ("block_lifted", "user"), ("block_added", "address")]
    told += [("block_lifted", "address"), ("user_reset", "user")]
    assert [(entry["event"], entry["party"]) for entry in notes.entries] == told
    said = [line for line in logged if line["event"] != "rpc"]
    assert [(line["event"], line["party"]) for line in said] == told
    for line in (*notes.entries, *said):
        assert line["name"] == names[line["party"]]
        assert (line["reason"], line["actor"]) == ("asked for it", "olga")
    assert {(entry["v"], entry["at"]) for entry in notes.entries} == {(FORMAT, NOW)}
    assert notes.entries[0]["until"] == NOW + HOUR
    written = json.dumps([logged, notes.entries], default=str)
    assert SUBJECT not in written
    assert ADDRESS not in written


@pytest.mark.parametrize(
    "method, request_, violated",
    [
        ("ListBlocks", pb.ListBlocksRequest(page_size=-1), "page_size"),
        ("ListBlocks", pb.ListBlocksRequest(page_size=1001), "page_size"),
        ("ListBlocks", pb.ListBlocksRequest(page_token="x"), "page_token"),
        ("ListBlocks", pb.ListBlocksRequest(page_token="YmxvY2tzOi0x"), "page_token"),
        ("ListBlocks", pb.ListBlocksRequest(page_token="ä"), "page_token"),
        ("AddBlock", pb.AddBlockRequest(reason="r", actor="a"), "party"),
        ("AddBlock", block(pb.Party(subject="")), "party"),
        ("AddBlock", block(pb.Party(address="10.0.0.300")), "party.address"),
        ("AddBlock", block(pb.Party(address="fe80::1%eth0")), "party.address"),
        ("AddBlock", block(pb.Party(user_pseudonym="short")), "party.user_pseudonym"),
        ("AddBlock", block(pb.Party(user_pseudonym="~" + "a" * 15)), "party.user_pseudonym"),
        ("AddBlock", block(pb.Party(address_pseudonym="a" * 17)), "party.address_pseudonym"),
        ("AddBlock", block(reason=""), "reason"),
        ("AddBlock", block(reason="  "), "reason"),
        ("AddBlock", block(reason="x" * 201), "reason"),
        ("AddBlock", block(reason="two\nlines"), "reason"),
        ("AddBlock", block(reason=f"{SUBJECT.upper()} shares"), "reason"),
        ("AddBlock", block(actor=""), "actor"),
        ("AddBlock", block(actor="x" * 65), "actor"),
        ("AddBlock", block(actor="policy"), "actor"),
        ("AddBlock", block(expire_time=at(NOW)), "expire_time"),
        ("AddBlock", block(expire_time=at(NOW + 366 * 24 * HOUR + 1)), "expire_time"),
        ("AddBlock", block(expire_time=Timestamp(seconds=-1)), "expire_time"),
        ("LiftBlock", pb.LiftBlockRequest(reason="r", actor="a"), "party"),
        ("LiftBlock", pb.LiftBlockRequest(party=pb.Party(subject="s"), actor="a"), "reason"),
        ("LiftBlock", pb.LiftBlockRequest(party=pb.Party(subject="s"), reason="r"), "actor"),
        ("GetUser", pb.GetUserRequest(party=pb.Party(address=ADDRESS)), "party"),
        ("ResetUser", pb.ResetUserRequest(reason="r", actor="a"), "party"),
        ("ResetUser", pb.ResetUserRequest(party=pb.Party(subject="s"), actor="a"), "reason"),
        ("Explain", pb.ExplainRequest(count=101), "count"),
        ("Explain", pb.ExplainRequest(client=policy_pb2.Client(address="x")), "client.address"),
    ],
)
async def test_bad_input_is_refused_by_field(
    operator: Callable[..., Any], notes: Tape, method: str, request_: Any, violated: str
) -> None:
    """A request that is not what it must be changes nothing and names the field."""
    code, _, fields = await failed(operator(method, request_))
    assert (code, fields) == (grpc.StatusCode.INVALID_ARGUMENT, [violated])
    assert notes.entries == []


async def test_a_reason_may_use_words_that_a_short_name_is_part_of(
    operator: Callable[..., Any],
) -> None:
    """`ann` is in `cannot`, which names nobody."""
    await operator("AddBlock", block(pb.Party(subject="ann"), reason="cannot stop"))


async def test_an_exempt_address_cannot_be_blocked(
    operator: Callable[..., Any], notes: Tape
) -> None:
    """A block that would change nothing is refused, or an operator would rely on it."""
    code, _, _ = await failed(operator("AddBlock", block(pb.Party(address="10.1.2.3"))))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert notes.entries == []


class TestAlone:
    """While the store is away, and policy decides alone."""

    @pytest.fixture
    def store(self, clock: StillClock) -> Any:
        """Return a store that falls back to this process's memory."""
        away, alone = AwayStore(clock, lease_ms=30_000), MemoryStore(clock, lease_ms=30_000)
        return DegradingStore(away, alone, lambda limits: limits)

    async def test_what_is_known_alone_is_no_users_usage(
        self, operator: Callable[..., Any]
    ) -> None:
        """A user is not shown from one process's memory; what it would decide is, and marked."""
        asked = pb.GetUserRequest(party=pb.Party(subject=SUBJECT))
        code, reason, _ = await failed(operator("GetUser", asked))
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "POLICY_UNAVAILABLE")
        assert (await operator("Explain", pb.ExplainRequest(subject=SUBJECT))).decision.degraded


class TestAway:
    """While the store is away."""

    @pytest.fixture
    def store(self, clock: StillClock) -> MemoryStore:
        """Return a store whose database is away."""
        return AwayStore(clock, lease_ms=30_000)

    async def test_there_is_no_decision(self, operator: Callable[..., Any], notes: Tape) -> None:
        """Everything but the policy itself is unavailable, and no change is told."""
        why: dict[str, Any] = {"party": pb.Party(subject=SUBJECT), "reason": "r", "actor": "a"}
        for method, request in (
            ("ListBlocks", pb.ListBlocksRequest()),
            ("AddBlock", block()),
            ("LiftBlock", pb.LiftBlockRequest(**why)),
            ("GetUser", pb.GetUserRequest(party=why["party"])),
            ("ResetUser", pb.ResetUserRequest(**why)),
            ("Explain", pb.ExplainRequest()),
        ):
            code, reason, _ = await failed(operator(method, request))
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "POLICY_UNAVAILABLE"), method
        assert await operator("GetPolicy", pb.GetPolicyRequest())
        assert notes.entries == []
