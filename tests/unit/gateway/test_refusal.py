"""Refusals: from what failed to what the caller is told."""

from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2, status_pb2

from gateway import refusal
from gateway.outcomes import BY_GRPC_CODE
from gateway.transcoding import errors
from gateway.transcoding.envelopes import HTTP_STATUS

Code = grpc.StatusCode


def info(reason: str, domain: str = "live-token", **metadata: str) -> details_pb2.ErrorInfo:
    """Return an ErrorInfo."""
    return details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def retry(seconds: float) -> details_pb2.RetryInfo:
    """Return a RetryInfo."""
    nanos = round((seconds % 1) * 1e9)
    return details_pb2.RetryInfo(
        retry_delay=duration_pb2.Duration(seconds=int(seconds // 1), nanos=nanos)
    )


def failed(
    code: grpc.StatusCode, *details: Message, message: str = "A sentence."
) -> errors.CallFailedError:
    """Return a failed call whose status has `details`."""
    status = status_pb2.Status()
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return errors.CallFailedError(code, message, status)


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_grpc_code_has_an_outcome(code: grpc.StatusCode) -> None:
    """Each code has a status and a sentence, and the server's own words stay inside."""
    refused = refusal.of_call(failed(code, message="SELECT secret"))
    assert 400 <= refused.status <= 599
    assert refused.error == BY_GRPC_CODE[code].sentence
    assert "secret" not in str(refused)


@pytest.mark.parametrize(
    "code, status",
    [
        (Code.CANCELLED, 499),
        (Code.UNKNOWN, 500),
        (Code.INVALID_ARGUMENT, 400),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.NOT_FOUND, 404),
        (Code.ALREADY_EXISTS, 409),
        (Code.PERMISSION_DENIED, 403),
        (Code.UNAUTHENTICATED, 401),
        (Code.RESOURCE_EXHAUSTED, 429),
        (Code.FAILED_PRECONDITION, 400),
        (Code.ABORTED, 409),
        (Code.OUT_OF_RANGE, 400),
        (Code.UNIMPLEMENTED, 501),
        (Code.INTERNAL, 500),
        (Code.UNAVAILABLE, 503),
        (Code.DATA_LOSS, 500),
    ],
)
def test_statuses_are_grpc_gateways(code: grpc.StatusCode, status: int) -> None:
    """A code without a reason of ours has grpc-gateway's status."""
    assert refusal.of_call(failed(code)).status == status
    assert refusal.of_call(failed(code, info("SOMETHING_NEW"))).status == status


@pytest.mark.parametrize(
    "code, reason, status",
    [
        (Code.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED", 422),
        (Code.ABORTED, "IDEMPOTENCY_KEY_IN_USE", 409),
        (Code.INTERNAL, "UPSTREAM_MISCONFIGURED", 502),
        (Code.RESOURCE_EXHAUSTED, "UPSTREAM_UNAVAILABLE", 503),
        (Code.PERMISSION_DENIED, "ADDRESS_BLOCKED", 403),
        (Code.PERMISSION_DENIED, "USER_BLOCKED", 403),
        (Code.RESOURCE_EXHAUSTED, "ABUSE_DETECTED", 429),
    ],
)
def test_the_contracts_reasons_decide(code: grpc.StatusCode, reason: str, status: int) -> None:
    """A reason of the contract has the contract's status, and its sentence is passed on."""
    refused = refusal.of_call(failed(code, info(reason), message="A sentence."))
    assert (refused.status, refused.code, refused.error) == (status, reason, "A sentence.")
    assert type(refused.status) is int  # a log would show the name of another


def test_foreign_reasons_are_not_ours() -> None:
    """An ErrorInfo of another domain makes neither code nor sentence, nor is it shown."""
    error = failed(Code.INTERNAL, info("ACCOUNT_DISABLED", "googleapis.com", project="p-1"))
    refused = refusal.of_call(error)
    assert refused.code == "INTERNAL"
    assert "p-1" not in str(refused)
    assert "ACCOUNT_DISABLED" not in str(refused)


def test_internal_details_stay_inside() -> None:
    """Stack traces and what others told us are dropped, the rest is shown as JSON."""
    error = failed(
        Code.RESOURCE_EXHAUSTED,
        details_pb2.DebugInfo(detail="secret"),
        info("QUOTA", "googleapis.com"),
        info("RATE_LIMIT_EXCEEDED", limit="hour"),
        retry(2.25),
    )
    assert refusal.of_call(error).body("r") == {
        "success": False,
        "error": "A sentence.",
        "code": "RATE_LIMIT_EXCEEDED",
        "retryAfter": 3,
        "requestId": "r",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "live-token",
                "metadata": {"limit": "hour"},
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.250s"},
        ],
    }


@pytest.mark.parametrize("reason", ["ADDRESS_BLOCKED", "RATE_LIMIT_EXCEEDED", "ABUSE_DETECTED"])
def test_a_decision_is_named_beside_the_request(reason: str) -> None:
    """A refusal that came of a decision has its id in the body; one that did not has none."""
    decided = failed(Code.PERMISSION_DENIED, info(reason, decision_id="d-1"), retry(7200))
    body = refusal.of_call(decided).body("r")
    assert (body["requestId"], body["decisionId"], body["retryAfter"]) == ("r", "d-1", 7200)
    assert "decisionId" not in refusal.of_call(failed(Code.UNAVAILABLE, info("X"))).body("r")
    foreign = failed(Code.INTERNAL, info("X", "googleapis.com", decision_id="d-1"))
    assert "decisionId" not in refusal.of_call(foreign).body("r")


def test_details_of_types_that_are_not_known_are_kept() -> None:
    """A detail that a newer server sends is passed on as it came, in base64."""
    error = failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED"))
    assert error.status is not None
    newer = any_pb2.Any(type_url="type.googleapis.com/google.rpc.Newer", value=b"\x08\x01\xff")
    error.status.details.append(newer)
    assert refusal.of_call(error).details[1] == {
        "@type": "type.googleapis.com/google.rpc.Newer",
        "value": "CAH/",
    }


def test_details_without_json_of_their_own_are_kept() -> None:
    """So is one that holds something of a type that is not known."""
    inner = any_pb2.Any(type_url="type.googleapis.com/x.Newer", value=b"\x01")
    error = failed(
        Code.INTERNAL,
        info("INTERNAL"),
        duration_pb2.Duration(seconds=1),
        inner,
        duration_pb2.Duration(seconds=10**18),
    )
    shown: Any = refusal.of_call(error).details[1:]
    assert [each["@type"].rpartition(".")[2] for each in shown] == ["Duration", "Any", "Duration"]
    assert [each["value"] for each in shown[::2]] == ["1s", "CICAkLu61q3wDQ=="]


@pytest.mark.parametrize(
    "status",
    [failed(Code.UNKNOWN, duration_pb2.Duration()), failed(Code.UNKNOWN, info("X", "other"))],
)
def test_a_status_that_was_not_written_for_callers_has_no_details(
    status: errors.CallFailedError,
) -> None:
    """Without a reason of ours, whatever else is in a status stays inside, known or not."""
    (only,) = refusal.of_call(status).details
    assert isinstance(only, dict)
    assert only["reason"] == "INTERNAL"


@pytest.mark.parametrize("limits", [["cooldown"], ["tokens_per_hour", "tokens_per_day"]])
def test_limits_that_were_met_are_named(limits: list[str]) -> None:
    """A refusal knows the limits by name, as problem details do."""
    quota = details_pb2.QuotaFailure(
        violations=[details_pb2.QuotaFailure.Violation(subject=each) for each in limits]
    )
    refused = refusal.of_call(failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED"), quota))
    assert refused.violated == tuple(limits)


def test_a_rule_that_was_broken_is_named() -> None:
    """So is a rule against abuse."""
    abuse = failed(Code.RESOURCE_EXHAUSTED, info("ABUSE_DETECTED", rule="machine_timing"))
    assert refusal.of_call(abuse).violated == ("machine_timing",)
    assert refusal.of_call(failed(Code.INTERNAL, info("INTERNAL"))).violated == ()


def test_undecodable_details_are_dropped() -> None:
    """A detail whose bytes are not of its type is dropped, not thrown."""
    error = errors.CallFailedError(Code.INTERNAL, "secret")
    error.status = status_pb2.Status(
        details=[any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")]
    )
    assert refusal.of_call(error).code == "INTERNAL"


@pytest.mark.parametrize(
    "error, seconds",
    [
        (failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED")), None),
        (failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED"), retry(0.001)), 1),
        (failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED"), retry(60)), 60),
        (failed(Code.RESOURCE_EXHAUSTED, info("RATE_LIMIT_EXCEEDED"), retry(-5)), 0),
        (failed(Code.UNAVAILABLE, info("POLICY_UNAVAILABLE")), 1),
        (failed(Code.UNAVAILABLE, info("POLICY_UNAVAILABLE"), retry(7)), 7),
        (failed(Code.UNAVAILABLE), 1),
        (failed(Code.DEADLINE_EXCEEDED), 1),
        (failed(Code.ABORTED, info("IDEMPOTENCY_KEY_IN_USE")), 1),
        (failed(Code.FAILED_PRECONDITION, info("IDEMPOTENCY_KEY_REUSED")), None),
        (failed(Code.INTERNAL), None),
        (failed(Code.INTERNAL, retry(5)), None),
    ],
)
def test_retry_after(error: errors.CallFailedError, seconds: int | None) -> None:
    """Whole seconds, rounded up, wherever waiting helps and nowhere else."""
    assert refusal.of_call(error).retry_after == seconds


@pytest.mark.parametrize(
    "error, status, code",
    [
        (errors.InvalidRequestError("must be a string", field="model"), 400, "INVALID_ARGUMENT"),
        (errors.UnknownPathError(), 404, "NOT_FOUND"),
        (errors.MethodNotAllowedError("PUT", ["GET"]), 405, "METHOD_NOT_ALLOWED"),
        (errors.SlowBodyError(), 408, "REQUEST_TIMEOUT"),
        (errors.PayloadTooLargeError(1), 413, "PAYLOAD_TOO_LARGE"),
        (errors.UnsupportedMediaTypeError("x", {}), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (errors.NotAcceptableError(["a/b"]), 406, "NOT_ACCEPTABLE"),
        (errors.LargeHeadError(1, 1), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
        (errors.LargeMetadataError(1, 1), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
    ],
)
def test_requests_that_are_none(error: errors.RequestError, status: int, code: str) -> None:
    """Each way not to be a request has its status and code."""
    refused = refusal.of_request(error)
    assert (refused.status, refused.code, refused.retry_after) == (status, code, None)


def test_a_violation_names_its_field() -> None:
    """The field is in the sentence, and in google.rpc.BadRequest."""
    refused = refusal.of_request(errors.InvalidRequestError("must be a string", field="model"))
    assert refused.error == "model must be a string."
    violations: Any = refused.details[1]
    assert violations["fieldViolations"] == [{"field": "model", "description": "must be a string"}]


def test_long_names_are_abridged() -> None:
    """What the caller wrote is repeated, but not at any length."""
    refused = refusal.of_request(errors.InvalidRequestError("is unknown", field="x" * 10_000))
    assert len(refused.error) < 200


def test_a_code_has_the_status_that_the_library_gives_it() -> None:
    """The envelope chooses code and sentence; the HTTP status of a gRPC code is grpc-gateway's."""
    statuses = {code: outcome.status for code, outcome in BY_GRPC_CODE.items()}
    assert statuses | {grpc.StatusCode.OK: 200} == HTTP_STATUS
