"""Failures of the service, as the contract's table of errors has them."""

import asyncio
from typing import Any

import grpc
import pytest

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"


def failure(
    kind: type[errors.ServiceError],
    reason: str,
    message: str = "A sentence.",
    *,
    retry_after: float | None = None,
) -> errors.ServiceError:
    """Return an outcome of the service, of a kind and with a reason."""

    class Failure(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            errors.ServiceError.__init__(self, message, retry_after=retry_after)

    Failure.reason = reason
    outcome: errors.ServiceError = Failure()
    return outcome


@pytest.mark.parametrize(
    "error, status, retry_after",
    [
        (failure(errors.PermissionDenied, "ADDRESS_BLOCKED"), 403, None),
        (failure(errors.PermissionDenied, "ADDRESS_BLOCKED", retry_after=7200), 403, 7200),
        (failure(errors.PermissionDenied, "USER_BLOCKED", retry_after=60), 403, 60),
        (failure(errors.Throttled, "ABUSE_DETECTED"), 429, None),
        (failure(errors.Throttled, "ABUSE_DETECTED", retry_after=0.5), 429, 1),
        (failure(errors.PermissionDenied, "PERMISSION_DENIED"), 403, None),
        (errors.InvalidArgument("duration", "must be from 1 to 60"), 400, None),
        (failure(errors.FailedPrecondition, "MODEL_NOT_ALLOWED"), 400, None),
        (failure(errors.FailedPrecondition, "CUSTOM_INSTRUCTION_NOT_ALLOWED"), 400, None),
        (
            errors.QuotaExceeded(
                "Rate limit exceeded: 10 tokens per hour.",
                errors.QuotaViolation("hour", "10 tokens per hour"),
                retry_after=12.5,
            ),
            429,
            13,
        ),
        (failure(errors.Aborted, "IDEMPOTENCY_KEY_IN_USE", retry_after=1), 409, 1),
        (failure(errors.Aborted, "IDEMPOTENCY_KEY_IN_USE"), 409, 1),
        (failure(errors.FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"), 422, None),
        (failure(errors.Internal, "UPSTREAM_MISCONFIGURED"), 502, None),
        (failure(errors.Unavailable, "UPSTREAM_UNAVAILABLE", retry_after=5), 503, 5),
        (failure(errors.Unavailable, "POLICY_UNAVAILABLE"), 503, 1),
        (failure(errors.Internal, "INTERNAL"), 500, None),
    ],
    ids=lambda value: getattr(value, "reason", None),
)
async def test_the_table_of_errors(
    gateway: Any, error: errors.ServiceError, status: int, retry_after: int | None
) -> None:
    """Each outcome of the service has its status, code, sentence and Retry-After."""
    gateway.service.failure = error
    answer = await gateway.browser.ask("POST", MINT, json={})
    assert answer.status == status
    assert answer.body["success"] is False
    assert answer.body["code"] == error.reason
    assert answer.body["error"] == error.message
    assert answer.body["details"][0]["reason"] == error.reason
    assert answer.body.get("retryAfter") == retry_after
    expected = None if retry_after is None else str(retry_after)
    assert answer.headers.get("Retry-After") == expected


async def test_a_quota_names_its_limit(gateway: Any) -> None:
    """The details of a quota refusal say which limit it was."""
    gateway.service.failure = errors.QuotaExceeded(
        "Rate limit exceeded: 10 tokens per hour.",
        errors.QuotaViolation("hour", "10 tokens per hour"),
        retry_after=1,
    )
    answer = await gateway.browser.ask("POST", MINT)
    assert {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": "hour", "description": "10 tokens per hour"}],
    } in answer.body["details"]


class _TwoAway(errors.Unavailable):
    """Both dependencies are away."""

    reason = "POLICY_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__()
        self.dependencies = {"policy": "POLICY_UNAVAILABLE", "gemini": "UPSTREAM_UNAVAILABLE"}


async def test_health_names_each_dependency(gateway: Any) -> None:
    """A service that cannot mint is 503, with the reason of each dependency."""
    gateway.service.failure = _TwoAway()
    answer = await gateway.browser.ask("GET", MINT + "/health", headers={})
    assert (answer.status, answer.body["code"]) == (503, "POLICY_UNAVAILABLE")
    reasons = {
        detail["metadata"]["name"]: detail["reason"]
        for detail in answer.body["details"]
        if "metadata" in detail
    }
    assert reasons == _TwoAway().dependencies


@pytest.mark.parametrize(
    "headers, challenge",
    [
        ({}, 'Bearer realm="live-token"'),
        ({"X-API-Key": "bad"}, 'Bearer realm="live-token"'),
        ({"Authorization": "Bearer bad"}, 'Bearer realm="live-token", error="invalid_token"'),
        ({"Authorization": "bearer  bad"}, 'Bearer realm="live-token", error="invalid_token"'),
        ({"Authorization": "Bearer bad", "X-API-Key": ""}, 'Bearer realm="live-token"'),
        ({"Authorization": "Bearer "}, 'Bearer realm="live-token"'),
        ({"Authorization": ""}, 'Bearer realm="live-token"'),
        ({"Authorization": "Basic YTpi"}, 'Bearer realm="live-token"'),
    ],
)
async def test_unauthenticated(gateway: Any, headers: dict[str, str], challenge: str) -> None:
    """A refused credential is 401, with a challenge that says whether there was one."""
    answer = await gateway.browser.ask("POST", MINT, headers=headers)
    assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == challenge


class _NoProof(errors.Unauthenticated):
    """A proof is asked for."""

    def __init__(self) -> None:
        super().__init__("Send a DPoP proof with the request.")
        self.metadata[errors.PROOF_ALGORITHMS] = "ES256 EdDSA"


async def test_a_client_without_a_proof_reads_how_to_make_one(gateway: Any) -> None:
    """RFC 9449, section 7.1: a second challenge, with the algorithms that are taken."""
    gateway.service.failure = _NoProof()
    answer = await gateway.browser.ask("POST", MINT)
    assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="live-token", '
        'DPoP realm="live-token", error="invalid_dpop_proof", algs="ES256 EdDSA"'
    )


@pytest.mark.parametrize(
    "code, status, name, retry_after",
    [
        (grpc.StatusCode.CANCELLED, 499, "CANCELLED", None),
        (grpc.StatusCode.UNKNOWN, 500, "INTERNAL", None),
        (grpc.StatusCode.INTERNAL, 500, "INTERNAL", None),
        (grpc.StatusCode.UNIMPLEMENTED, 501, "UNIMPLEMENTED", None),
        (grpc.StatusCode.UNAVAILABLE, 503, "UPSTREAM_UNAVAILABLE", 1),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED", 1),
    ],
)
async def test_bare_statuses_tell_nothing(
    gateway: Any, code: grpc.StatusCode, status: int, name: str, retry_after: int | None
) -> None:
    """Of a status without our ErrorInfo, not a word is passed on."""
    gateway.service.status = (code, "secret upstream text")
    answer = await gateway.browser.ask("POST", MINT)
    assert (answer.status, answer.body["code"]) == (status, name)
    assert answer.body.get("retryAfter") == retry_after
    assert "secret" not in str(answer.body)


async def test_a_defect_of_the_service_is_500(gateway: Any) -> None:
    """An exception in the service is a plain 500."""
    gateway.service.failure = ZeroDivisionError("secret")
    answer = await gateway.browser.ask("POST", MINT)
    assert (answer.status, answer.body["code"]) == (500, "INTERNAL")
    assert "secret" not in str(answer.body)


async def test_slowness_is_504(launch: Any) -> None:
    """A service that does not answer in time is 504, and says when to try again."""
    async with launch(rpc_timeout_ms=50) as gateway:
        gateway.service.held = asyncio.Event()
        answer = await gateway.browser.ask("POST", MINT)
        assert (answer.status, answer.body["code"]) == (504, "DEADLINE_EXCEEDED")
        assert answer.headers["Retry-After"] == str(answer.body["retryAfter"])


async def test_absence_is_503(launch: Any) -> None:
    """A service that is not there is 503, and says when to try again."""
    async with launch(served=False) as gateway:
        for method, path in (("POST", MINT), ("GET", MINT + "/health")):
            answer = await gateway.browser.ask(method, path)
            assert (answer.status, answer.body["code"]) == (503, "UPSTREAM_UNAVAILABLE")
            assert answer.headers["Retry-After"] == str(answer.body["retryAfter"])
