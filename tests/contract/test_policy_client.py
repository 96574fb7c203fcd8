"""PolicyClient against a sidecar that behaves, on a line that loses answers."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_policy import LATER, LEASE_MS, FakePolicy, policy_client, refusal
from opentelemetry.sdk.trace import TracerProvider
from structlog.testing import capture_logs

from policy.v1 import policy_pb2 as pb
from serving.errors import ServiceError
from tokenservice.client_info import ClientInfo
from tokenservice.deadline import Deadline
from tokenservice.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    PolicyUnavailable,
    RateLimitExceeded,
    UpstreamMisconfigured,
    UpstreamUnavailable,
)
from tokenservice.grant import TokenRequest
from tokenservice.policy_client import PolicyClient
from tokenservice.policy_port import Attempt, LimitUse
from tokenservice.principal import Caller, Principal

ANN = Principal("ann", tier="gold")
CALLER = Caller(ANN, ClientInfo("192.0.2.1", ("user-agent", "origin")))
ASKED = TokenRequest(model="../m", system_instruction="eval(1)", temperature=0.5, request_id="r")
EXPIRES = 1_767_227_400_000
DIGEST = b"d" * 32


@pytest.fixture
def policy() -> FakePolicy:
    """Return a sidecar that grants one token and loses nothing yet."""
    return FakePolicy()


@pytest.fixture
async def client(policy: FakePolicy, tmp_path: Path) -> AsyncIterator[PolicyClient]:
    """Return a client of it."""
    async with policy_client(policy, f"unix:{tmp_path}/p.sock") as client:
        yield client


def attempt(request_id: str = "r") -> Attempt:
    """Return a new attempt at a request of one user."""
    return Attempt(CALLER, ASKED, request_id, secrets.token_bytes(8), b"f" * 16)


async def issued(client: PolicyClient) -> int:
    """Return how many tokens the user was issued."""
    return (await client.usage(ANN, Deadline.after(60))).tokens_last_day


async def test_a_block_that_ends_without_a_commit_gives_back(client: PolicyClient) -> None:
    """Whatever is raised inside, the charge is released, cooldown included."""
    with pytest.raises(ZeroDivisionError):
        async with client.reservation(attempt(), Deadline.after(60)):
            raise ZeroDivisionError
    assert await issued(client) == 0
    async with client.reservation(attempt("other"), Deadline.after(60)) as reservation:
        assert (await reservation.commit([EXPIRES], b"s", EXPIRES)).tokens_last_day == 1
    assert await issued(client) == 1


async def test_a_lost_answer_to_reserve_leaves_no_charge(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """The caller sees POLICY_UNAVAILABLE, and the next request is not held up by it."""
    policy.lost["Reserve"] = 1
    with pytest.raises(PolicyUnavailable):
        async with client.reservation(attempt(), Deadline.after(60)):
            pytest.fail("there was no decision")
    async with client.reservation(attempt("other"), Deadline.after(60)) as reservation:
        await reservation.commit([EXPIRES], b"s", EXPIRES)


async def test_a_lost_answer_to_commit_is_asked_for_again(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """Commit is idempotent: asked twice, it is charged once, and the token is delivered."""
    policy.lost["Commit"] = 1
    async with client.reservation(attempt(), Deadline.after(60)) as reservation:
        assert (await reservation.commit([EXPIRES], b"s", EXPIRES)).tokens_last_day == 1
    assert await issued(client) == 1


async def test_an_unknown_commit_is_no_commit(client: PolicyClient, policy: FakePolicy) -> None:
    """With both answers lost nothing is delivered; a repeat of the request finds the result."""
    policy.lost["Commit"] = 2
    with pytest.raises(PolicyUnavailable):
        async with client.reservation(attempt(), Deadline.after(60)) as reservation:
            await reservation.commit([EXPIRES], b"sealed", EXPIRES)
    async with client.reservation(attempt(), Deadline.after(60)) as again:
        assert again.replay
        assert again.replay.sealed_result == b"sealed"


async def test_a_commit_after_the_lease_is_refused(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """A reservation that is gone cannot be committed, and there is nothing left to release."""
    async with client.reservation(attempt(), Deadline.after(60)) as reservation:
        policy.ledger.expire()
        with pytest.raises(PolicyUnavailable):
            await reservation.commit([EXPIRES], b"s", EXPIRES)
    assert await issued(client) == 0
    assert policy.all_heard(pb.ReleaseRequest) == []


async def test_a_concurrent_duplicate_is_told_to_wait(client: PolicyClient) -> None:
    """While one attempt is at work, another at the same request is told for how long."""
    async with client.reservation(attempt(), Deadline.after(60)):
        with pytest.raises(IdempotencyKeyInUse) as busy:
            async with client.reservation(attempt(), Deadline.after(60)):
                pytest.fail("it is in progress")
    assert busy.value.retry_after == LEASE_MS / 1000


Reason = pb.Refusal


@pytest.mark.parametrize(
    "refused, expected",
    [
        (
            refusal(Reason.REASON_TOKENS_PER_HOUR, limit_value=10, retry_after_ms=1500),
            (
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded: 10 tokens per hour",
                1.5,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_TOKENS_PER_DAY, limit_value=100, retry_after_ms=1500),
            (
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded: 100 tokens per day",
                1.5,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_COOLDOWN, retry_after_ms=299_001),
            (
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded: cooldown, try again in 300 seconds",
                299.001,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_CONCURRENT_SESSIONS, limit_value=2),
            (
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded: 2 concurrent sessions",
                None,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_ADDRESS_BLOCKED, retry_after_ms=7_200_000),
            (
                "ADDRESS_BLOCKED",
                "This address is blocked.",
                7200,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_ADDRESS_BLOCKED),
            (
                "ADDRESS_BLOCKED",
                "This address is blocked.",
                None,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_USER_BLOCKED, retry_after_ms=1000),
            (
                "USER_BLOCKED",
                "This user is blocked.",
                1,
                {},
            ),
        ),
        (
            refusal(Reason.REASON_ABUSE, rule="machine_timing", retry_after_ms=9000),
            (
                "ABUSE_DETECTED",
                "The request was refused: it fits a pattern of abuse.",
                9,
                {"rule": "machine_timing"},
            ),
        ),
        (
            refusal(Reason.REASON_ABUSE, rule="suspicious_content"),
            (
                "ABUSE_DETECTED",
                "The request was refused: it fits a pattern of abuse.",
                None,
                {"rule": "suspicious_content"},
            ),
        ),
        (
            refusal(Reason.REASON_UNSPECIFIED),
            (
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded: try again later",
                None,
                {},
            ),
        ),
    ],
)
async def test_refusals_are_told_apart(
    client: PolicyClient,
    policy: FakePolicy,
    refused: pb.Refusal,
    expected: tuple[str, str, float | None, dict[str, str]],
) -> None:
    """Each reason is an outcome with its words and its wait, and names the decision."""
    policy.refusal = refused
    with pytest.raises(ServiceError) as outcome:
        async with client.reservation(attempt(), Deadline.after(60)):
            pytest.fail("it was refused")
    reason, message, retry_after, metadata = expected
    assert (outcome.value.reason, outcome.value.message) == (reason, message)
    assert outcome.value.retry_after == retry_after
    assert outcome.value.metadata == {"decision_id": "d-1", **metadata}
    assert policy.all_heard(pb.ReleaseRequest) == []


@pytest.mark.parametrize(
    "refused, met",
    [
        (refusal(Reason.REASON_TOKENS_PER_HOUR, limit_value=10), ("tokens_per_hour", 10)),
        (refusal(Reason.REASON_TOKENS_PER_DAY, limit_value=100), ("tokens_per_day", 100)),
        (refusal(Reason.REASON_COOLDOWN, limit_value=300_000), ("cooldown", 300)),
        (refusal(Reason.REASON_COOLDOWN, limit_value=500), ("cooldown", 1)),
        (refusal(Reason.REASON_CONCURRENT_SESSIONS, limit_value=2), ("concurrent_sessions", 2)),
        (refusal(Reason.REASON_UNSPECIFIED), ("unknown", 0)),
    ],
)
async def test_a_limit_that_was_met_has_its_value(
    client: PolicyClient, policy: FakePolicy, refused: pb.Refusal, met: tuple[str, int]
) -> None:
    """Callers learn which limit it was and how high it is: tokens, or the cooldown's seconds."""
    policy.refusal = refused
    with pytest.raises(RateLimitExceeded) as outcome:
        async with client.reservation(attempt(), Deadline.after(60)):
            pytest.fail("it was refused")
    violation = outcome.value.violation
    assert (violation.subject, violation.value) == met


async def test_a_reused_request_id_is_refused(client: PolicyClient, policy: FakePolicy) -> None:
    """Another content under a used id is its own outcome."""
    policy.refusal = refusal(Reason.REASON_REQUEST_ID_REUSED)
    with pytest.raises(IdempotencyKeyReused):
        async with client.reservation(attempt(), Deadline.after(60)):
            pytest.fail("it was refused")


def definite(error: UpstreamUnavailable | UpstreamMisconfigured) -> Exception:
    """Return an upstream failure that left no token."""
    assert not error.ambiguous
    return error


def open_ended(error: UpstreamUnavailable | UpstreamMisconfigured) -> Exception:
    """Return an upstream failure that may have left a token."""
    error.ambiguous = True
    return error


@pytest.mark.parametrize(
    "error, ambiguous",
    [
        (definite(UpstreamUnavailable()), False),
        (definite(UpstreamMisconfigured()), False),
        (open_ended(UpstreamUnavailable()), True),
        (open_ended(UpstreamMisconfigured()), True),
        (ZeroDivisionError(), True),
        (asyncio.CancelledError(), True),
    ],
    ids=repr,
)
async def test_a_release_says_whether_a_token_may_exist(
    client: PolicyClient, policy: FakePolicy, error: BaseException, *, ambiguous: bool
) -> None:
    """Only a definite refusal of Gemini's leaves no doubt that nothing was made."""
    with pytest.raises(type(error)):
        async with client.reservation(attempt(), Deadline.after(60)):
            raise error
    (release,) = policy.all_heard(pb.ReleaseRequest)
    assert release.ambiguous is ambiguous
    assert release.tier == "gold"
    named = error.metadata if isinstance(error, ServiceError) else {"decision_id": "d-1"}
    assert named == {"decision_id": "d-1"}


async def test_a_lost_reserve_left_no_token(client: PolicyClient, policy: FakePolicy) -> None:
    """Without a decision nothing was minted: its release is not ambiguous, and names none."""
    policy.lost["Reserve"] = 1
    with pytest.raises(PolicyUnavailable) as failed:
        async with client.reservation(attempt(), Deadline.after(60)):
            pytest.fail("there was no decision")
    (release,) = policy.all_heard(pb.ReleaseRequest)
    assert release.ambiguous is False
    assert failed.value.metadata == {}


async def test_a_lost_commit_may_have_left_a_token(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """A token whose commit nobody confirms was made and dropped: its release is ambiguous."""
    policy.lost["Commit"] = 2
    with pytest.raises(PolicyUnavailable) as failed:
        async with client.reservation(attempt(), Deadline.after(60)) as reservation:
            await reservation.commit([EXPIRES], b"sealed", EXPIRES)
    (release,) = policy.all_heard(pb.ReleaseRequest)
    assert release.ambiguous is True
    assert failed.value.metadata == {"decision_id": "d-1"}


async def test_policy_is_told_who_asks_whence_and_for_what(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """Tier, client and content travel with the reservation, the tier with all that follows."""
    async with client.reservation(attempt(), Deadline.after(60)) as reservation:
        await reservation.commit([EXPIRES], b"s", EXPIRES)
    await client.usage(ANN, Deadline.after(60))
    reserve, commit, usage = policy.heard
    assert reserve.tier == commit.tier == usage.tier == "gold"
    assert reserve.client == pb.Client(
        address="192.0.2.1", http_headers=pb.HttpHeaders(names=["user-agent", "origin"])
    )
    assert reserve.content == pb.Content(model="../m", system_instruction="eval(1)")
    assert reserve.dry_run is False


@pytest.mark.parametrize(
    "headers, sent",
    [(None, pb.Client(address="")), ((), pb.Client(http_headers=pb.HttpHeaders()))],
)
async def test_no_headers_and_none_known_are_different(
    client: PolicyClient, policy: FakePolicy, headers: tuple[str, ...] | None, sent: pb.Client
) -> None:
    """A request without any watched header says so; where nothing is known, nothing is said."""
    await client.report_credentials(ClientInfo("", headers), DIGEST, Deadline.after(60))
    (report,) = policy.all_heard(pb.ReportRequest)
    assert report.client == sent
    assert report.client.HasField("http_headers") is (headers is not None)


async def test_wrong_credentials_are_reported(client: PolicyClient, policy: FakePolicy) -> None:
    """The report of wrong credentials has their digest, the client and nobody's name."""
    await client.report_credentials(CALLER.client, DIGEST, Deadline.after(60))
    (report,) = policy.all_heard(pb.ReportRequest)
    assert report == pb.ReportRequest(
        outcome=pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
        fingerprint=DIGEST,
        client=pb.Client(
            address="192.0.2.1", http_headers=pb.HttpHeaders(names=["user-agent", "origin"])
        ),
    )


async def test_a_refused_request_is_reported(client: PolicyClient, policy: FakePolicy) -> None:
    """The report of a request has its principal, its digest, its client and its content."""
    await client.report_request(CALLER, ASKED, Deadline.after(60))
    (report,) = policy.all_heard(pb.ReportRequest)
    assert report.outcome == pb.ReportRequest.OUTCOME_REQUEST_REJECTED
    assert (report.subject, report.tier) == ("ann", "gold")
    assert report.fingerprint == ASKED.fingerprint
    assert report.client.address == "192.0.2.1"
    assert report.content == pb.Content(model="../m", system_instruction="eval(1)")


async def test_a_report_is_never_too_large(client: PolicyClient, policy: FakePolicy) -> None:
    """What was refused for its length is reported all the same, shortened."""
    asked = TokenRequest(model="m" * 300_000, system_instruction="é" * 300_000)
    await client.report_request(CALLER, asked, Deadline.after(60))
    (report,) = policy.all_heard(pb.ReportRequest)
    assert report.content == pb.Content(model="m" * 256, system_instruction="é" * 4096)


async def test_a_report_that_is_not_heard_is_dropped(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """Policy away: one warning, nothing raised, and no decision to name."""
    policy.lost["Report"] = 1
    with capture_logs() as logs:
        assert await client.report_credentials(CALLER.client, DIGEST, Deadline.after(60)) == ""
    assert [(line["log_level"], line["method"]) for line in logs] == [("warning", "Report")]


@pytest.mark.parametrize("patience, deadline", [(0.05, 60), (60, 0.05)])
async def test_a_report_is_not_waited_for_long(
    policy: FakePolicy, tmp_path: Path, patience: float, deadline: float
) -> None:
    """The client's timeout or the caller's deadline, whichever is shorter, ends the wait."""
    policy.held = asyncio.Event()
    async with policy_client(policy, f"unix:{tmp_path}/p.sock", timeout=patience) as client:
        async with asyncio.timeout(30):
            await client.report_credentials(CALLER.client, DIGEST, Deadline.after(deadline))


async def test_a_report_is_a_decision_by_its_id(client: PolicyClient) -> None:
    """What policy made of a report is named to who reported, and on the span."""
    tracer = TracerProvider().get_tracer("test")
    with capture_logs() as logs:
        with tracer.start_as_current_span("rpc") as first:
            assert (
                await client.report_credentials(CALLER.client, DIGEST, Deadline.after(60)) == "d-1"
            )
        with tracer.start_as_current_span("rpc") as second:
            assert await client.report_request(CALLER, ASKED, Deadline.after(60)) == "d-2"
    spans: list[Any] = [first, second]
    named = [span.attributes["live_token.decision_id"] for span in spans]
    assert (named, logs) == (["d-1", "d-2"], [])


async def test_usage_is_told_by_limit(client: PolicyClient) -> None:
    """Each limit arrives with its use and its time, alone and with a commit and a replay."""
    later = LATER.ToMilliseconds()
    cooldown = LimitUse("cooldown", 300_000, 1_500, later)
    alone = await client.usage(ANN, Deadline.after(60))
    assert alone.by_limit == (LimitUse("tokens_per_hour", 1, 0, None), cooldown)
    async with client.reservation(attempt(), Deadline.after(60)) as reservation:
        committed = await reservation.commit([EXPIRES], b"s", EXPIRES)
    assert committed.by_limit == (LimitUse("tokens_per_hour", 1, 1, None), cooldown)
    async with client.reservation(attempt(), Deadline.after(60)) as again:
        assert again.replay
        assert again.replay.usage == committed


async def test_a_degraded_decision_shows_on_span_and_log(
    client: PolicyClient, policy: FakePolicy
) -> None:
    """A decision without the store is as good as any, but the operator sees it."""
    policy.degraded = True
    tracer = TracerProvider().get_tracer("test")
    with capture_logs() as logs, tracer.start_as_current_span("rpc") as span:
        async with client.reservation(attempt(), Deadline.after(60)) as reservation:
            await reservation.commit([EXPIRES], b"s", EXPIRES)
    attributes: Any = getattr(span, "attributes", {})
    assert attributes["live_token.decision_id"] == "d-1"
    assert attributes["live_token.degraded"] is True
    assert [(line["event"], line["decision_id"]) for line in logs] == [("degraded decision", "d-1")]
