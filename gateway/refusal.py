"""What is told to a caller whose request failed, whatever it failed on.

Pure: from the error to what the one body of all refusals needs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import grpc
from google.protobuf import any_pb2, json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from gateway.outcomes import (
    BY_GRPC_CODE,
    DEFAULT_RETRY_AFTER,
    STATUS_BY_REASON,
    WAITING_HELPS,
)
from gateway.transcoding import errors
from gateway.transcoding.strict_json import Json
from serving.errors import DECISION_ID, DOMAIN, PROOF_ALGORITHMS

_TYPE = "type.googleapis.com/"

# What is passed on. DebugInfo is not, nor what somebody adds one day.
_PUBLIC_DETAILS: tuple[type[Message], ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.RetryInfo,
    error_details_pb2.QuotaFailure,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.BadRequest,
    error_details_pb2.ResourceInfo,
    error_details_pb2.Help,
    error_details_pb2.LocalizedMessage,
)


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success. `retry_after` is in whole seconds."""

    status: int
    code: str
    error: str
    retry_after: int | None = None
    details: tuple[Json, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    decision_id: str = ""
    proof_algorithms: str = ""
    """Where a proof of possession is what is missing or bad: those it can be made with."""

    def body(self, request_id: str) -> dict[str, Json]:
        """Return the body as the contract has it."""
        body: dict[str, Json] = {"success": False, "error": self.error, "code": self.code}
        if self.retry_after is not None:
            body["retryAfter"] = self.retry_after
        body["requestId"] = request_id
        if self.decision_id:
            body["decisionId"] = self.decision_id
        return body | {"details": list(self.details)}


def of_request(error: errors.RequestError) -> Refusal:
    """Refuse a request that did not become an RPC."""
    status, code, headers = 400, "INVALID_ARGUMENT", {}
    match error:
        case errors.UnknownPathError():
            status, code = 404, "NOT_FOUND"
        case errors.MethodNotAllowedError():
            status, code = 405, "METHOD_NOT_ALLOWED"
            headers = {"Allow": ", ".join(error.allow)}
        case errors.SlowHeadError() | errors.SlowBodyError():
            status, code, headers = 408, "REQUEST_TIMEOUT", {"Connection": "close"}
        case errors.PayloadTooLargeError():
            status, code = 413, "PAYLOAD_TOO_LARGE"
        case errors.LongUrlError():
            status, code = 414, "URI_TOO_LONG"
        case errors.UnsupportedMediaTypeError():
            status, code, headers = 415, "UNSUPPORTED_MEDIA_TYPE", error.headers
        case errors.LargeHeadError():
            status, code = 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=code, domain=DOMAIN)]
    if isinstance(error, errors.InvalidRequestError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.description
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    return Refusal(status, code, str(error), details=_rendered(details), headers=headers)


def of_call(error: errors.CallFailedError) -> Refusal:
    """Refuse a request whose RPC failed.

    Only a status with an ErrorInfo of our domain was written for callers: of
    any other, nothing but its code is told.
    """
    outcome = BY_GRPC_CODE[error.code]
    details = _details(error.status)
    info = next((d for d in details if isinstance(d, error_details_pb2.ErrorInfo)), None)
    if info is None:
        return Refusal(
            outcome.status,
            outcome.code,
            outcome.sentence,
            _retry_after(outcome.status, outcome.code, ()),
            _rendered([error_details_pb2.ErrorInfo(reason=outcome.code, domain=DOMAIN)]),
        )
    status = STATUS_BY_REASON.get(info.reason, outcome.status)
    return Refusal(
        status,
        info.reason,
        error.message or outcome.sentence,
        _retry_after(status, info.reason, details),
        _rendered(details),
        decision_id=info.metadata.get(DECISION_ID, ""),
        proof_algorithms=info.metadata.get(PROOF_ALGORITHMS, ""),
    )


def of_defect() -> Refusal:
    """Refuse a request that met a defect of the gateway's own."""
    return of_call(errors.CallFailedError(grpc.StatusCode.INTERNAL))


def of_stopping() -> Refusal:
    """Refuse a request that the gateway no longer has the time for."""
    return of_call(errors.CallFailedError(grpc.StatusCode.UNAVAILABLE))


def _details(status: status_pb2.Status | None) -> list[Message]:
    unpacked = (_unpacked(detail) for detail in (status.details if status else ()))
    return [
        detail
        for detail in unpacked
        if detail is not None
        and (not isinstance(detail, error_details_pb2.ErrorInfo) or detail.domain == DOMAIN)
    ]


def _unpacked(packed: any_pb2.Any) -> Message | None:
    for kind in _PUBLIC_DETAILS:
        if packed.TypeName() == kind.DESCRIPTOR.full_name:
            try:
                return kind.FromString(packed.value)
            except DecodeError:
                return None
    return None


def _retry_after(status: int, code: str, details: Iterable[Message]) -> int | None:
    for detail in details:
        if isinstance(detail, error_details_pb2.RetryInfo):
            seconds: int = detail.retry_delay.seconds
            nanos: int = detail.retry_delay.nanos
            return max(0, seconds + math.ceil(nanos / 1e9))
    return (
        DEFAULT_RETRY_AFTER
        if status == HTTPStatus.SERVICE_UNAVAILABLE or code in WAITING_HELPS
        else None
    )


def _rendered(details: Iterable[Message]) -> tuple[Json, ...]:
    return tuple(
        {"@type": _TYPE + detail.DESCRIPTOR.full_name, **json_format.MessageToDict(detail)}
        for detail in details
    )
