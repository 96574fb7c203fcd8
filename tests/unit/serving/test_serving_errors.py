"""Outcomes as google.rpc.Status."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from serving import errors
from serving.rendering import status_code, status_details

QUOTA = errors.QuotaViolation("tokens_per_hour", "10 tokens per hour")
OUTCOMES = [
    (errors.Unauthenticated(), "UNAUTHENTICATED", "UNAUTHENTICATED", {"ErrorInfo"}),
    (errors.PermissionDenied(), "PERMISSION_DENIED", "PERMISSION_DENIED", {"ErrorInfo"}),
    (
        errors.InvalidArgument("duration", "must be whole"),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", {"ErrorInfo", "BadRequest"}),
    ),
    (
        errors.QuotaExceeded("Rate limit exceeded: 10 tokens per hour", QUOTA, retry_after=1.5),
        *("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", {"ErrorInfo", "RetryInfo", "QuotaFailure"}),
    ),
    (
        errors.QuotaExceeded("Rate limit exceeded: never", QUOTA, retry_after=None),
        *("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", {"ErrorInfo", "QuotaFailure"}),
    ),
    (errors.Throttled(), "RESOURCE_EXHAUSTED", "THROTTLED", {"ErrorInfo"}),
    (
        errors.Throttled(retry_after=1.5),
        *("RESOURCE_EXHAUSTED", "THROTTLED", {"ErrorInfo", "RetryInfo"}),
    ),
    (errors.Aborted(), "ABORTED", "ABORTED", {"ErrorInfo"}),
    (errors.FailedPrecondition(), "FAILED_PRECONDITION", "FAILED_PRECONDITION", {"ErrorInfo"}),
    (errors.Unavailable(), "UNAVAILABLE", "UNAVAILABLE", {"ErrorInfo", "RetryInfo"}),
    (errors.Internal(), "INTERNAL", "INTERNAL", {"ErrorInfo"}),
    (errors.ServiceError(), "INTERNAL", "INTERNAL", {"ErrorInfo"}),
]


def unpacked(error: errors.ServiceError) -> dict[str, Any]:
    """Return the details of an error by their type's name."""
    found = {}
    for packed in status_pb2.Status.FromString(status_details(error)).details:
        name = packed.type_url.rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        packed.Unpack(message)
        found[name] = message
    return found


@pytest.mark.parametrize("error, code, reason, details", OUTCOMES)
def test_each_outcome_has_its_code_and_details(
    error: errors.ServiceError, code: str, reason: str, details: set[str]
) -> None:
    """The type decides the gRPC code; ErrorInfo is always there, the rest where it applies."""
    assert status_code(error).name == code
    status = status_pb2.Status.FromString(status_details(error))
    assert status.code == grpc.StatusCode[code].value[0]
    assert status.message == error.message
    found = unpacked(error)
    assert set(found) == details
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (reason, "live-token")


def test_a_subtype_has_the_code_of_its_nearest_kin() -> None:
    """A service's own outcome needs no line in the table, and keeps its own reason."""

    class Busy(errors.Unavailable):
        reason = "BUSY"

    assert status_code(Busy()) is grpc.StatusCode.UNAVAILABLE
    assert unpacked(Busy())["ErrorInfo"].reason == "BUSY"


def test_a_field_is_named_in_message_and_details() -> None:
    """Who sent a wrong field learns which one, and what it must be."""
    error = errors.InvalidArgument("duration", "must be whole")
    assert error.message == str(error) == "duration: must be whole"
    (violation,) = unpacked(error)["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("duration", "must be whole")


def test_each_field_that_is_wrong_is_in_details() -> None:
    """The sentence is of the first; programs read them all."""
    error = errors.InvalidArgument("duration", "must be whole")
    error.violations += (errors.FieldViolation("temperature", "must be a number"),)
    violations = unpacked(error)["BadRequest"].field_violations
    assert [(each.field, each.description) for each in violations] == [
        ("duration", "must be whole"),
        ("temperature", "must be a number"),
    ]
    assert error.message == "duration: must be whole"


def test_what_programs_may_know_is_in_the_info() -> None:
    """Metadata of an outcome are those of its ErrorInfo, and of no other outcome's."""
    error = errors.PermissionDenied()
    error.metadata[errors.DECISION_ID] = "d-1"
    assert unpacked(error)["ErrorInfo"].metadata == {"decision_id": "d-1"}
    assert unpacked(errors.PermissionDenied())["ErrorInfo"].metadata == {}


def test_a_limit_is_named_in_details() -> None:
    """Who met a limit learns which one."""
    error = errors.QuotaExceeded("Rate limit exceeded", QUOTA, retry_after=2)
    (violation,) = unpacked(error)["QuotaFailure"].violations
    assert (violation.subject, violation.description) == (QUOTA.subject, QUOTA.description)
    assert (violation.quota_id, violation.quota_value) == ("", 0)


def test_a_limit_has_its_value_in_details() -> None:
    """Who met a limit learns how high it is, where that is known."""
    quota = errors.QuotaViolation("tokens_per_hour", "10 tokens per hour", 10)
    error = errors.QuotaExceeded("Rate limit exceeded", quota, retry_after=2)
    (violation,) = unpacked(error)["QuotaFailure"].violations
    assert (violation.quota_id, violation.quota_value) == ("tokens_per_hour", 10)


@pytest.mark.parametrize(
    "retry_after, seconds, nanos",
    [(0.0, 0, 0), (1.0, 1, 0), (0.0001, 0, 1_000_000), (299.9991, 300, 0), (86400.5, 86400, 5e8)],
)
def test_a_wait_is_rounded_up_to_the_millisecond(
    retry_after: float, seconds: int, nanos: int
) -> None:
    """Who waits as long as told is never too early."""
    delay = unpacked(errors.Aborted(retry_after=retry_after))["RetryInfo"].retry_delay
    assert (delay.seconds, delay.nanos) == (seconds, nanos)


def test_the_cause_is_not_rendered() -> None:
    """What went wrong underneath is for the log alone."""
    error = errors.Unavailable()
    error.__cause__ = OSError("no route to 10.0.0.7")
    assert b"10.0.0.7" not in status_details(error)


def test_one_errors_wait_is_not_anothers() -> None:
    """A wait that is set on one error does not become the next one's."""
    errors.Unavailable(retry_after=60)
    assert errors.Unavailable().retry_after == 1.0
