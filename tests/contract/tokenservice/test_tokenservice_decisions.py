"""What a caller reads of policy's decisions, and what policy is told of the mint."""

from typing import Any

import grpc
import pytest
from fake_policy import refusal
from google.protobuf.timestamp_pb2 import Timestamp

from policy.v1 import policy_pb2 as policy_pb
from tokenservice.errors import UpstreamUnavailable
from tokenservice.v1 import tokenservice_pb2 as pb

NOW = 1_767_225_600
Code, Reason = grpc.StatusCode, policy_pb.Refusal


@pytest.mark.parametrize(
    "refused, code, reason",
    [
        (refusal(Reason.REASON_ADDRESS_BLOCKED), Code.PERMISSION_DENIED, "ADDRESS_BLOCKED"),
        (refusal(Reason.REASON_USER_BLOCKED), Code.PERMISSION_DENIED, "USER_BLOCKED"),
        (refusal(Reason.REASON_ABUSE, rule="volume"), Code.RESOURCE_EXHAUSTED, "ABUSE_DETECTED"),
        (refusal(Reason.REASON_COOLDOWN), Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED"),
        (refusal(Reason.REASON_REQUEST_IN_PROGRESS), Code.ABORTED, "IDEMPOTENCY_KEY_IN_USE"),
        (
            refusal(Reason.REASON_REQUEST_ID_REUSED),
            Code.FAILED_PRECONDITION,
            "IDEMPOTENCY_KEY_REUSED",
        ),
    ],
)
async def test_a_refusal_names_its_decision(
    service: Any, refused: policy_pb.Refusal, code: grpc.StatusCode, reason: str
) -> None:
    """Each refusal has its code and reason, and the id that policy's log has."""
    service.policy.refusal = refused
    call = service.unix.CreateToken
    answer = await service.refused(call, pb.CreateTokenRequest(), service.bearer())
    assert (answer.code, answer.reason) == (code, reason)
    rule = {"rule": refused.rule} if refused.rule else {}
    assert answer.metadata == {"decision_id": "d-1", **rule}
    assert service.minter.minted == []


async def test_a_mint_that_fails_names_its_decision_too(service: Any) -> None:
    """What happened after the decision can be looked up by it."""
    service.minter.failure = UpstreamUnavailable()
    call = service.unix.CreateToken
    answer = await service.refused(call, pb.CreateTokenRequest(), service.bearer())
    assert answer.reason == "UPSTREAM_UNAVAILABLE"
    assert answer.metadata == {"decision_id": "d-1"}
    (release,) = service.policy.all_heard(policy_pb.ReleaseRequest)
    assert (release.ambiguous, release.tier) == (False, "gold")


async def test_a_mint_that_broke_off_is_released_as_ambiguous(service: Any) -> None:
    """A token that may exist and that nobody has is told of."""
    service.minter.failure = UpstreamUnavailable()
    service.minter.failure.ambiguous = True
    await service.refused(service.unix.CreateToken, pb.CreateTokenRequest(), service.bearer())
    (release,) = service.policy.all_heard(policy_pb.ReleaseRequest)
    assert release.ambiguous is True


async def test_no_decision_is_none(service: Any) -> None:
    """Where policy did not answer there is no decision to name."""
    service.policy.lost["Reserve"] = 1
    call = service.unix.CreateToken
    answer = await service.refused(call, pb.CreateTokenRequest(), service.bearer())
    assert answer.reason == "POLICY_UNAVAILABLE"
    assert answer.metadata == {}


async def test_policy_sees_what_the_caller_wrote(service: Any) -> None:
    """Tier and content are the caller's own words, not what was made of them."""
    alias = "gemini-2.0-flash-live-001"
    asked = pb.CreateTokenRequest(model=alias, system_instruction="brief")
    answer = await service.unix.CreateToken(asked, metadata=(service.bearer(),), timeout=10)
    assert answer.decision_id == "d-1"
    await service.unix.GetUsage(
        pb.GetUsageRequest(), metadata=(service.bearer(tier="no tier"),), timeout=10
    )
    reserve, commit, usage = service.policy.heard
    assert reserve.content == policy_pb.Content(model=alias, system_instruction="brief")
    assert (reserve.tier, commit.tier, usage.tier) == ("gold", "gold", "")


async def test_defaults_are_not_the_callers_words(service: Any) -> None:
    """A request without fields has no content to judge."""
    await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(),), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.content == policy_pb.Content()


async def test_a_degraded_decision_answers_as_any(service: Any) -> None:
    """That the store was away is the operator's business, not the caller's."""
    service.policy.degraded = True
    answer = await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(),), timeout=10
    )
    assert answer.token == "auth_tokens/1"
    assert answer.decision_id == "d-1"


async def test_usage_is_told_by_limit(service: Any) -> None:
    """Each limit has its use and its time; of the cooldown both are seconds."""
    later = Timestamp(seconds=NOW)
    cooldown = pb.LimitUse(limit="cooldown", value=300, used=1.5, next_allowed_time=later)
    call = {"metadata": (service.bearer(),), "timeout": 10}
    before = (await service.unix.GetUsage(pb.GetUsageRequest(), **call)).data
    hour = pb.LimitUse(limit="tokens_per_hour", value=1, used=0)
    assert list(before.by_limit) == [hour, cooldown]
    minted = (await service.unix.CreateToken(pb.CreateTokenRequest(), **call)).usage
    hour.used = 1
    assert list(minted.by_limit) == [hour, cooldown]
