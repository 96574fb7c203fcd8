"""Errors as google.rpc.Status (AIP-193), in one place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from serving import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer that carries a serialized google.rpc.Status."""

_CODES: dict[type[errors.ServiceError], grpc.StatusCode] = {
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Throttled: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Internal: grpc.StatusCode.INTERNAL,
}


def status_code(error: errors.ServiceError) -> grpc.StatusCode:
    """Return the gRPC code of an outcome, by the nearest type that has one."""
    return next(
        (_CODES[kind] for kind in type(error).__mro__ if kind in _CODES),
        grpc.StatusCode.INTERNAL,
    )


def status_details(error: errors.ServiceError) -> bytes:
    """Return a serialized google.rpc.Status: ErrorInfo, and what else is known."""
    code: int = status_code(error).value[0]
    status = status_pb2.Status(code=code, message=error.message)
    status.details.extend(_pack(detail) for detail in _details(error))
    serialized: bytes = status.SerializeToString()
    return serialized


def _details(error: errors.ServiceError) -> list[Message]:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=errors.DOMAIN, metadata=error.metadata
        )
    ]
    if error.retry_after is not None:
        millis = math.ceil(error.retry_after * 1000)
        delay = duration_pb2.Duration(seconds=millis // 1000, nanos=millis % 1000 * 1_000_000)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    match error:
        case errors.InvalidArgument():
            details.append(_bad_request(error.violations))
        case errors.QuotaExceeded():
            details.append(_quota_failure(error.violation))
        case errors.Unavailable():
            details.extend(
                error_details_pb2.ErrorInfo(
                    reason=reason, domain=errors.DOMAIN, metadata={"name": name}
                )
                for name, reason in error.dependencies.items()
            )
    return details


def _bad_request(violations: Iterable[errors.FieldViolation]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description
            )
            for violation in violations
        ]
    )


def _quota_failure(violation: errors.QuotaViolation) -> error_details_pb2.QuotaFailure:
    return error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject=violation.subject,
                description=violation.description,
                quota_id=violation.subject if violation.value else "",
                quota_value=violation.value,
            )
        ]
    )


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
