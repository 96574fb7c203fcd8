"""What is told to a caller whose request failed, whatever it failed on.

Pure: from the error to what the one body of all refusals needs.
"""

import math
from dataclasses import dataclass, field
from http import HTTPStatus

import grpc
from google.rpc import error_details_pb2

from gateway import rate_limits
from gateway.details import Details, render
from gateway.outcomes import (
    BY_GRPC_CODE,
    DEFAULT_RETRY_AFTER,
    STATUS_BY_REASON,
    WAITING_HELPS,
)
from gateway.transcoding import errors
from gateway.transcoding.strict_json import Json
from serving.errors import DECISION_ID, DOMAIN, PROOF_ALGORITHMS

_RULE = "rule"
"""The key in an ErrorInfo's metadata for the rule against abuse that refused."""


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
    violated: tuple[str, ...] = ()
    """The limits that were met, or the rule that was broken, by name."""

    def body(self, request_id: str, trace_id: str = "") -> dict[str, Json]:
        """Return the body as the contract has it, and by which ids it is found."""
        body: dict[str, Json] = {"success": False, "error": self.error, "code": self.code}
        if self.retry_after is not None:
            body["retryAfter"] = self.retry_after
        body["requestId"] = request_id
        if trace_id:
            body["traceId"] = trace_id
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
        case errors.NotAcceptableError():
            status, code = 406, "NOT_ACCEPTABLE"
        case errors.SlowHeadError() | errors.SlowBodyError():
            status, code, headers = 408, "REQUEST_TIMEOUT", {"Connection": "close"}
        case errors.PayloadTooLargeError():
            status, code = 413, "PAYLOAD_TOO_LARGE"
        case errors.LongUrlError():
            status, code = 414, "URI_TOO_LONG"
        case errors.UnsupportedMediaTypeError():
            status, code, headers = 415, "UNSUPPORTED_MEDIA_TYPE", error.headers
        case errors.LargeHeadError() | errors.LargeMetadataError():
            status, code = 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"
    details = [render(error_details_pb2.ErrorInfo(reason=code, domain=DOMAIN))]
    if isinstance(error, errors.InvalidRequestError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.description
        )
        details.append(render(error_details_pb2.BadRequest(field_violations=[violation])))
    return Refusal(status, code, str(error), details=tuple(details), headers=headers)


def of_call(error: errors.CallFailedError) -> Refusal:
    """Refuse a request whose RPC failed.

    Only a status with an ErrorInfo of our domain was written for callers, and
    its details with it: of any other, nothing but its code is told.
    """
    outcome = BY_GRPC_CODE[error.code]
    details = Details.of(error.status)
    info = details.first(error_details_pb2.ErrorInfo)
    if info is None:
        return Refusal(
            outcome.status,
            outcome.code,
            outcome.sentence,
            _retry_after(outcome.status, outcome.code, None),
            (render(error_details_pb2.ErrorInfo(reason=outcome.code, domain=DOMAIN)),),
        )
    status = int(STATUS_BY_REASON.get(info.reason, outcome.status))  # logs show it as it is
    retry_after = _retry_after(status, info.reason, details.first(error_details_pb2.RetryInfo))
    quota = details.first(error_details_pb2.QuotaFailure)
    violations = quota.violations if quota is not None else ()
    return Refusal(
        status,
        info.reason,
        error.message or outcome.sentence,
        retry_after,
        details.rendered,
        headers=rate_limits.of_violations(violations, retry_after),
        decision_id=info.metadata.get(DECISION_ID, ""),
        proof_algorithms=info.metadata.get(PROOF_ALGORITHMS, ""),
        violated=tuple(each.subject for each in violations) or _rule(info),
    )


def of_origin() -> Refusal:
    """Refuse a page of another origin, which asked whether it may ask."""
    info = error_details_pb2.ErrorInfo(reason="PERMISSION_DENIED", domain=DOMAIN)
    return Refusal(
        403, info.reason, "Pages of this origin may not use the API.", details=(render(info),)
    )


def of_defect() -> Refusal:
    """Refuse a request that met a defect of the gateway's own."""
    return of_call(errors.CallFailedError(grpc.StatusCode.INTERNAL))


def of_stopping() -> Refusal:
    """Refuse a request that the gateway no longer has the time for."""
    return of_call(errors.CallFailedError(grpc.StatusCode.UNAVAILABLE))


def _retry_after(status: int, code: str, told: error_details_pb2.RetryInfo | None) -> int | None:
    if told is not None:
        delay = told.retry_delay
        seconds: int = delay.seconds + math.ceil(delay.nanos / 1e9)
        return max(0, seconds)
    helps = status == HTTPStatus.SERVICE_UNAVAILABLE or code in WAITING_HELPS
    return DEFAULT_RETRY_AFTER if helps else None


def _rule(info: error_details_pb2.ErrorInfo) -> tuple[str, ...]:
    rule = info.metadata.get(_RULE, "")
    return (rule,) if rule else ()
