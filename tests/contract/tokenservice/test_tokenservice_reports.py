"""What policy hears of calls that end before a reservation."""

import hashlib
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from policy.v1 import policy_pb2 as policy_pb
from tokenservice.v1 import tokenservice_pb2 as pb

SAID = (("x-client-address", "192.0.2.1"), ("x-client-headers", "user-agent"))
CLIENT = policy_pb.Client(
    address="192.0.2.1", http_headers=policy_pb.HttpHeaders(names=["user-agent"])
)
GUESS = ("authorization", "Bearer guess")
CALLS = [
    ("CreateToken", pb.CreateTokenRequest()),
    ("GetUsage", pb.GetUsageRequest()),
    ("GetConfig", pb.GetConfigRequest()),
    ("GetStats", pb.GetStatsRequest()),
]


@pytest.mark.parametrize("method, request_", CALLS)
async def test_a_guess_is_reported_wherever_it_is_made(
    service: Any, method: str, request_: Any
) -> None:
    """Each call that needs credentials reports wrong ones, by digest, with the client and once."""
    refused = await service.refused(getattr(service.unix, method), request_, GUESS, *SAID)
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert refused.metadata == {"decision_id": "d-1"}
    assert service.policy.heard == [
        policy_pb.ReportRequest(
            outcome=policy_pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED,
            fingerprint=hashlib.sha256(b"Bearer guess").digest(),
            client=CLIENT,
        )
    ]


async def test_a_guess_over_tcp_is_blamed_on_its_connection(service: Any) -> None:
    """A forged address gets no stranger blocked."""
    await service.refused(service.tcp.GetUsage, pb.GetUsageRequest(), GUESS, *SAID)
    (report,) = service.policy.heard
    assert report.client == policy_pb.Client(address="127.0.0.1")


async def test_an_honest_mistake_is_not_reported(service: Any) -> None:
    """Neither no credentials nor an expired token of ours counts against an address."""
    call = service.unix.CreateToken
    for sent in (
        (),
        (service.bearer(exp=1),),
        (("authorization", ""),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic YTpi"),),
        (("x-api-key", ""), service.bearer()),
    ):
        refused = await service.refused(call, pb.CreateTokenRequest(), *sent, *SAID)
        assert refused.code is grpc.StatusCode.UNAUTHENTICATED
        assert refused.metadata == {}
    assert service.policy.heard == []


async def test_one_mistake_has_one_digest(service: Any) -> None:
    """The same credential again is the same mistake; each guess is another one."""
    for word in ("stale", "stale", "guess"):
        sent = ("authorization", f"Bearer {word}")
        await service.refused(service.unix.GetUsage, pb.GetUsageRequest(), sent)
    stale, again, guess = (report.fingerprint for report in service.policy.heard)
    assert stale == again != guess


async def test_no_log_has_a_credential_or_its_digest(service: Any) -> None:
    """Of what was sent nothing is logged, in whatever form, though policy is away."""
    service.policy.lost["Report"] = 1
    with capture_logs() as logs:
        for _ in range(2):
            await service.refused(service.unix.GetUsage, pb.GetUsageRequest(), GUESS)
    digest = hashlib.sha256(GUESS[1].encode()).digest()
    assert logs
    assert not [line for line in logs if "guess" in str(line) or digest.hex() in str(line)]
    assert repr(digest)[2:-1] not in str(logs)


async def test_health_reports_nothing(service: Any) -> None:
    """Health needs no credentials, so bad ones do not matter."""
    await service.unix.GetHealth(pb.GetHealthRequest(), metadata=(GUESS, *SAID), timeout=10)
    assert service.policy.heard == []


@pytest.mark.parametrize(
    "request_, reason",
    [
        (pb.CreateTokenRequest(duration_minutes=0), "INVALID_ARGUMENT"),
        (pb.CreateTokenRequest(model="../m", system_instruction="eval(1)"), "MODEL_NOT_ALLOWED"),
        (pb.CreateTokenRequest(temperature=float("nan")), "INVALID_ARGUMENT"),
        (pb.CreateTokenRequest(request_id="é"), "INVALID_ARGUMENT"),
    ],
)
async def test_a_request_that_cannot_be_granted_is_reported(
    service: Any, request_: pb.CreateTokenRequest, reason: str
) -> None:
    """A known principal's bad request is reported as its attempt; the answer is the same."""
    call = service.unix.CreateToken
    refused = await service.refused(call, request_, service.bearer(), *SAID)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.metadata == {"decision_id": "d-1"}
    (report,) = service.policy.heard
    assert report.outcome == policy_pb.ReportRequest.OUTCOME_REQUEST_REJECTED
    assert (report.subject, report.tier, len(report.fingerprint)) == ("ann", "gold", 16)
    assert report.client == CLIENT
    assert report.content == policy_pb.Content(
        model=request_.model, system_instruction=request_.system_instruction
    )


async def test_equal_requests_have_equal_reports(service: Any) -> None:
    """The digest of what was sent does not change with its id, but with any other field."""
    for request in (
        pb.CreateTokenRequest(duration_minutes=0),
        pb.CreateTokenRequest(duration_minutes=0, request_id="r"),
        pb.CreateTokenRequest(duration_minutes=99),
    ):
        await service.refused(service.unix.CreateToken, request, service.bearer())
    first, again, other = (report.fingerprint for report in service.policy.heard)
    assert first == again != other


async def test_a_report_that_is_lost_changes_no_answer(service: Any) -> None:
    """With policy away, 401 stays 401 and 400 stays 400, without a decision."""
    service.policy.lost["Report"] = 2
    call = service.unix.CreateToken
    guessed = await service.refused(call, pb.CreateTokenRequest(), GUESS)
    assert (guessed.code, guessed.metadata) == (grpc.StatusCode.UNAUTHENTICATED, {})
    bad = pb.CreateTokenRequest(duration_minutes=0)
    refused = await service.refused(call, bad, service.bearer())
    assert (refused.reason, refused.metadata) == ("INVALID_ARGUMENT", {})
    assert len(service.policy.heard) == 2
