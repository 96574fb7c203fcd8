"""The policy sidecar through its API, on a real server over a Unix socket."""

import asyncio
import hashlib
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from policy_server import (
    NOW,
    PSEUDONYMS,
    SERVICE,
    Page,
    StillClock,
    Tape,
    at,
    commit,
    key,
    reserve,
    serving_policy,
)

from policy.effective import EffectivePolicy, Tier
from policy.explain import Explainer
from policy.judge import Judge
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.service import PolicyService
from policy.store import Store
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving import tracing
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.process import StartError
from serving.stores import StoreUnavailable

LEASE = 30_000
LIMITS = Limits(tokens_per_hour=2, tokens_per_day=5, cooldown_ms=0, concurrent_sessions=0)


class BrokenStore:
    """A store whose database is away."""

    def __getattr__(self, name: str) -> Any:
        """Fail, whatever is asked."""

        async def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("no route to 10.0.0.7")

        return fail


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Return where the sidecar listens."""
    return f"unix:{tmp_path}/run/policy.sock"


@pytest.fixture
def store() -> Store:
    """Return a store whose clock stands still."""
    return MemoryStore(lambda: NOW, lease_ms=LEASE)


@pytest.fixture
def health() -> HealthBoard:
    """Return the sidecar's health."""
    return HealthBoard([SERVICE], ["store"])


def serving(address: str, store: Any, health: HealthBoard, *, reflected: bool = False) -> Any:
    """Serve policy on an address."""
    page = Page(EffectivePolicy(default=Tier(limits=LIMITS)))
    return serving_policy(address, store, page, health=health, reflected=reflected)


@pytest.fixture
async def channel(
    address: str, store: Store, health: HealthBoard
) -> AsyncIterator[grpc.aio.Channel]:
    """Return a channel to a running sidecar."""
    async with serving(address, store, health), open_channel(address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    """Return the generated client."""
    return policy_pb2_grpc.PolicyServiceStub(channel)


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Return the google.rpc details of an error, by their type's name."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    found = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        packed.Unpack(message)
        found[name] = message
    return found


async def test_one_token_from_reservation_to_replay(stub: Any) -> None:
    """Reserve, commit and a repeat of the request agree on one charge."""
    reserved = await stub.Reserve(reserve())
    assert reserved.reservation.lease_expire_time == at(NOW + LEASE)
    assert reserved.decision_id
    committed = await stub.Commit(commit())
    assert committed.outcome == pb.CommitResponse.OUTCOME_COMMITTED
    assert committed.usage == pb.Usage(
        active_tokens=1,
        tokens_last_hour=1,
        tokens_last_day=1,
        limits=pb.Limits(tokens_per_hour=2, tokens_per_day=5),
        by_limit=[
            pb.LimitUse(limit="tokens_per_hour", value=2, used=1),
            pb.LimitUse(limit="tokens_per_day", value=5, used=1),
        ],
    )
    again = await stub.Reserve(reserve(owner=b"ownertwo"))
    assert again.replay.sealed_result == b"sealed"
    assert again.replay.usage == committed.usage
    assert (await stub.GetUsage(pb.GetUsageRequest(subject="ann"))).usage == committed.usage
    stats = await stub.GetStats(pb.GetStatsRequest())
    assert (stats.active_users, stats.tokens_last_hour, stats.pending_reservations) == (1, 1, 0)


async def test_usage_tells_of_each_limit_when_it_allows_a_token(stub: Any) -> None:
    """A limit that is met has a time, one that is not has none; reading changes nothing."""
    await stub.Reserve(reserve(count=2))
    await stub.Commit(commit(tokens=2))
    for _ in range(2):
        usage = (await stub.GetUsage(pb.GetUsageRequest(subject="ann"))).usage
        assert list(usage.by_limit) == [
            pb.LimitUse(
                limit="tokens_per_hour", value=2, used=2, next_allowed_time=at(NOW + 3_600_000)
            ),
            pb.LimitUse(limit="tokens_per_day", value=5, used=2),
        ]


async def test_a_refusal_is_an_answer(stub: Any) -> None:
    """A limit that was met is named, with its value and the time to wait."""
    await stub.Reserve(reserve("one", count=2))
    refusal = (await stub.Reserve(reserve("two"))).refusal
    assert refusal.reason == pb.Refusal.REASON_TOKENS_PER_HOUR
    assert refusal.limit_value == 2
    assert refusal.next_allowed_time == at(NOW + 3_600_000)
    assert refusal.retry_after_ms == 3_600_000
    never = (await stub.Reserve(reserve("three", count=3))).refusal
    assert not never.HasField("next_allowed_time")


async def test_a_request_at_work_or_of_another_content_is_refused(stub: Any) -> None:
    """Another attempt is told to wait, another content that the id is taken."""
    await stub.Reserve(reserve())
    busy = (await stub.Reserve(reserve(owner=b"ownertwo"))).refusal
    assert busy.reason == pb.Refusal.REASON_REQUEST_IN_PROGRESS
    assert busy.retry_after_ms == LEASE
    changed = pb.ReserveRequest(key=key(), fingerprint=b"other", count=1)
    reused = (await stub.Reserve(changed)).refusal
    assert reused.reason == pb.Refusal.REASON_REQUEST_ID_REUSED


async def test_a_release_gives_back_once(stub: Any) -> None:
    """A charge is given back by the first release, and can then not be committed."""
    await stub.Reserve(reserve())
    answers = [await stub.Release(pb.ReleaseRequest(key=key())) for _ in range(2)]
    assert [answer.released for answer in answers] == [True, False]
    assert (await stub.Commit(commit())).outcome == pb.CommitResponse.OUTCOME_LOST


async def test_hundreds_at_once_on_one_channel_are_all_answered(stub: Any) -> None:
    """Tokenservice has one channel; none of its calls is refused for being one of many."""
    asked = (reserve(f"r{n}", subject=f"user {n}") for n in range(400))
    answers = await asyncio.gather(*(stub.Reserve(each, timeout=20) for each in asked))
    assert all(answer.HasField("reservation") for answer in answers)


def told(logged: list[Any], *events: str) -> list[Any]:
    """Return the lines of some events."""
    return [line for line in logged if line["event"] in events]


async def test_every_decision_is_named_in_the_log_and_on_the_span() -> None:
    """One id is in the answer, in the log and on the span: reserved, reported, or a dry run."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer, store = provider.get_tracer("test"), MemoryStore(lambda: NOW, lease_ms=LEASE)
    judge, explainer = Judge(store, Page()), Explainer(store, Page())
    service: Any = PolicyService(judge, explainer, PSEUDONYMS, Tape(), StillClock())
    client = pb.Client(address="203.0.113.7")
    kinds = pb.ReportRequest
    rejected = kinds(outcome=kinds.OUTCOME_REQUEST_REJECTED, subject="ann")
    credentials = kinds(outcome=kinds.OUTCOME_CREDENTIALS_REJECTED, client=client)
    calls = [
        (service.Reserve, reserve(), "decision", "reserved"),
        (service.Reserve, reserve("dry", dry_run=True), "dry_run", "refused_cooldown"),
        (service.Report, rejected, "rejected", "noted"),
        (service.Report, credentials, "credentials", "noted"),
    ]
    for call, request, event, outcome in calls:
        exporter.clear()
        with structlog.testing.capture_logs() as logged, tracer.start_as_current_span("rpc"):
            answer = await call(request, None)
        (line,) = told(logged, "decision", "dry_run", "rejected", "credentials")
        assert (line["event"], line["outcome"]) == (event, outcome)
        assert answer.decision_id == line["decision_id"] != ""
        assert line.get("user") in {None, PSEUDONYMS.user("ann")}
        (span,) = exporter.get_finished_spans()
        cooldown = {tracing.LIMIT: "cooldown", tracing.REASON: "cooldown"}
        limited = cooldown if outcome == "refused_cooldown" else {}
        assert dict(span.attributes or {}) == {
            tracing.DECISION_ID: answer.decision_id,
            tracing.DECISION: outcome,
            tracing.DEGRADED: False,
            tracing.TIER: "default",
            **limited,
        }


async def test_a_violation_names_the_decision_that_it_was(stub: Any) -> None:
    """Whether of a request or of credentials, the log joins a violation to what caused it."""
    content = pb.Content(model="../m")
    kinds = pb.ReportRequest
    client = pb.Client(address="203.0.113.7")
    with structlog.testing.capture_logs() as logged:
        answers = [
            await stub.Reserve(reserve(content=content)),
            await stub.Report(
                kinds(outcome=kinds.OUTCOME_REQUEST_REJECTED, subject="ann", content=content)
            ),
            await stub.Report(kinds(outcome=kinds.OUTCOME_CREDENTIALS_REJECTED, client=client)),
        ]
    ids = [line["decision_id"] for line in told(logged, "violation")]
    assert ids == [answer.decision_id for answer in answers]
    assert len(set(ids)) == 3


async def test_no_store_holds_the_digest_of_a_credential(stub: Any, store: Store) -> None:
    """What is kept of wrong credentials cannot be found by who guesses them without the key."""
    digest = hashlib.sha256(b"hunter2").digest()
    kinds = pb.ReportRequest
    client = pb.Client(address="203.0.113.7")
    report = kinds(outcome=kinds.OUTCOME_CREDENTIALS_REJECTED, client=client, fingerprint=digest)
    await stub.Report(report)
    await stub.Report(report)
    standing = (await store.inspect("", PSEUDONYMS.address(client.address))).address
    (violation,) = standing.violations
    assert violation.evidence == PSEUDONYMS.credential(digest)
    assert violation.evidence not in {digest[:4], hashlib.sha256(digest).digest()[:4]}


INVALID: list[tuple[str, Any, str]] = [
    ("Reserve", pb.ReserveRequest(count=1), "key.subject"),
    ("Reserve", pb.ReserveRequest(key=key(subject=""), count=1), "key.subject"),
    ("Reserve", pb.ReserveRequest(key=key(""), count=1), "key.request_id"),
    ("Reserve", pb.ReserveRequest(key=key(owner=b""), count=1), "key.owner"),
    ("Reserve", reserve(count=0), "count"),
    ("Reserve", reserve(count=-1), "count"),
    ("Reserve", reserve(count=101), "count"),
    ("Reserve", reserve(owner=b"seven b"), "key.owner"),
    ("Reserve", reserve(client=pb.Client(address="10.0.0.300")), "client.address"),
    ("Commit", pb.CommitRequest(key=key()), "token_expire_times"),
    ("Commit", pb.CommitRequest(key=key(owner=b"")), "key.owner"),
    ("Commit", pb.CommitRequest(key=key(), token_expire_times=[at(0)] * 101), "token_expire_times"),
    (
        "Commit",
        pb.CommitRequest(key=key(), token_expire_times=[at(0)], sealed_result=b"x" * 8193),
        "sealed_result",
    ),
    (
        "Commit",
        pb.CommitRequest(
            key=key(),
            token_expire_times=[at(0)],
            sealed_expire_time=Timestamp(seconds=-1),
        ),
        "sealed_expire_time",
    ),
    ("Release", pb.ReleaseRequest(key=key("")), "key.request_id"),
    ("Report", pb.ReportRequest(), "outcome"),
    ("Report", pb.ReportRequest(outcome=pb.ReportRequest.OUTCOME_REQUEST_REJECTED), "subject"),
    ("GetUsage", pb.GetUsageRequest(), "subject"),
]


@pytest.mark.parametrize("method, request_message, named", INVALID)
async def test_an_argument_that_is_missing_is_named(
    stub: Any, method: str, request_message: Any, named: str
) -> None:
    """What no decision can be made of is INVALID_ARGUMENT, with the field in the details."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await getattr(stub, method)(request_message)
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = details(failed.value)
    assert [each.field for each in found["BadRequest"].field_violations] == [named]
    assert found["ErrorInfo"].reason == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "method, request_message",
    [
        ("Reserve", reserve()),
        ("Commit", commit()),
        ("Release", pb.ReleaseRequest(key=key())),
        ("GetUsage", pb.GetUsageRequest(subject="ann")),
        ("GetStats", pb.GetStatsRequest()),
        (
            "Report",
            pb.ReportRequest(outcome=pb.ReportRequest.OUTCOME_REQUEST_REJECTED, subject="ann"),
        ),
    ],
)
async def test_a_store_that_is_away_is_no_decision(
    address: str, health: HealthBoard, method: str, request_message: Any
) -> None:
    """Every method is UNAVAILABLE without the store, says when to retry and not why."""
    async with serving(address, BrokenStore(), health), open_channel(address) as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await getattr(stub, method)(request_message)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    found = details(failed.value)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (
        "POLICY_UNAVAILABLE",
        "live-token",
    )
    assert found["RetryInfo"].retry_delay.seconds == 1
    assert "10.0.0.7" not in str(failed.value)


async def test_health_follows_what_is_reported(
    channel: grpc.aio.Channel, health: HealthBoard
) -> None:
    """Check and Watch tell the state of each service, and Watch tells every change."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = health_pb2.HealthCheckResponse
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    assert (await stub.Check(request)).status == answer.NOT_SERVING
    watch = stub.Watch(request)
    assert (await watch.read()).status == answer.NOT_SERVING
    await health.report("store", "SERVING")
    assert (await watch.read()).status == answer.SERVING
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == answer.SERVING
    await health.report("store", "STORE_AWAY")
    assert (await watch.read()).status == answer.NOT_SERVING
    watch.cancel()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(
    address: str, store: Store, health: HealthBoard
) -> None:
    """Where it is on, a client without our protos can find out what is served."""
    async with serving(address, store, health, reflected=True), open_channel(address) as channel:
        call = reflection_of(channel)
        names = {service.name for service in (await call.read()).list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names
        call.cancel()


async def test_reflection_is_off_unless_it_is_asked_for(channel: grpc.aio.Channel) -> None:
    """Strangers are not told what there is to try."""
    assert await reflection_of(channel).code() is grpc.StatusCode.UNIMPLEMENTED


def reflection_of(channel: grpc.aio.Channel) -> Any:
    """Ask which services there are."""
    untyped: Any = channel  # typed for synchronous channels only
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(untyped)
    return stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )


@pytest.mark.usefixtures("channel")
def test_only_the_owner_may_use_the_socket(tmp_path: Path) -> None:
    """The socket is 0600, in a directory that is 0700."""
    path = tmp_path / "run" / "policy.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_socket_that_is_in_use_is_not_taken(address: str, store: Store, stub: Any) -> None:
    """A second server on the same socket does not start, and the first one goes on."""
    with pytest.raises(StartError, match="another process"):
        async with serving(address, store, HealthBoard([SERVICE])):
            pass
    assert (await stub.Reserve(reserve())).HasField("reservation")


async def test_a_socket_left_behind_is_taken(
    address: str, store: Store, health: HealthBoard, tmp_path: Path
) -> None:
    """A socket that nobody listens on any more does not hinder a start."""
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "run" / "policy.sock"))
    async with serving(address, store, health), open_channel(address) as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        assert (await stub.Reserve(reserve())).HasField("reservation")


async def test_an_address_that_is_none_is_named(store: Store, health: HealthBoard) -> None:
    """What is not HOST:PORT stops the start with the address."""
    with pytest.raises(StartError, match="nowhere"):
        async with serving("nowhere", store, health):
            pass
