"""Which HTTP status, code and sentence an outcome has, in tables."""

from dataclasses import dataclass
from http import HTTPStatus

import grpc

CLIENT_CLOSED_REQUEST = 499
"""The status for a cancelled call, nginx's and grpc-gateway's."""


@dataclass(frozen=True)
class Outcome:
    """What a gRPC code becomes when nothing more is known of the failure."""

    status: int
    code: str
    sentence: str


_CODE = grpc.StatusCode
_OUR_FAULT = "Something went wrong on our side."

# The statuses are grpc-gateway's (runtime/errors.go).
BY_GRPC_CODE = {
    _CODE.CANCELLED: Outcome(CLIENT_CLOSED_REQUEST, "CANCELLED", "The call was cancelled."),
    _CODE.UNKNOWN: Outcome(500, "INTERNAL", _OUR_FAULT),
    _CODE.INVALID_ARGUMENT: Outcome(400, "INVALID_ARGUMENT", "The request is not valid."),
    _CODE.DEADLINE_EXCEEDED: Outcome(
        504, "DEADLINE_EXCEEDED", "The service took too long to answer."
    ),
    _CODE.NOT_FOUND: Outcome(404, "NOT_FOUND", "There is no such thing."),
    _CODE.ALREADY_EXISTS: Outcome(409, "ALREADY_EXISTS", "It exists already."),
    _CODE.PERMISSION_DENIED: Outcome(403, "PERMISSION_DENIED", "You may not do this."),
    _CODE.UNAUTHENTICATED: Outcome(401, "UNAUTHENTICATED", "The request has no valid credentials."),
    _CODE.RESOURCE_EXHAUSTED: Outcome(
        429, "RESOURCE_EXHAUSTED", "The request exceeds what the service can take."
    ),
    _CODE.FAILED_PRECONDITION: Outcome(
        400, "FAILED_PRECONDITION", "The request does not fit the present state."
    ),
    _CODE.ABORTED: Outcome(409, "ABORTED", "The request met another one; try again."),
    _CODE.OUT_OF_RANGE: Outcome(400, "OUT_OF_RANGE", "The request is out of range."),
    _CODE.UNIMPLEMENTED: Outcome(501, "UNIMPLEMENTED", "The service cannot do this."),
    _CODE.INTERNAL: Outcome(500, "INTERNAL", _OUR_FAULT),
    _CODE.UNAVAILABLE: Outcome(
        503, "UPSTREAM_UNAVAILABLE", "The service is not available at the moment."
    ),
    _CODE.DATA_LOSS: Outcome(500, "INTERNAL", _OUR_FAULT),
}

STATUS_BY_REASON: dict[str, int] = {
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "ADDRESS_BLOCKED": HTTPStatus.FORBIDDEN,
    "USER_BLOCKED": HTTPStatus.FORBIDDEN,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "MODEL_NOT_ALLOWED": HTTPStatus.BAD_REQUEST,
    "CUSTOM_INSTRUCTION_NOT_ALLOWED": HTTPStatus.BAD_REQUEST,
    "RATE_LIMIT_EXCEEDED": HTTPStatus.TOO_MANY_REQUESTS,
    "ABUSE_DETECTED": HTTPStatus.TOO_MANY_REQUESTS,
    "IDEMPOTENCY_KEY_IN_USE": HTTPStatus.CONFLICT,
    "IDEMPOTENCY_KEY_REUSED": HTTPStatus.UNPROCESSABLE_ENTITY,
    "UPSTREAM_MISCONFIGURED": HTTPStatus.BAD_GATEWAY,
    "UPSTREAM_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "POLICY_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The statuses that the contract promises, whatever the gRPC code."""

WAITING_HELPS = frozenset({"IDEMPOTENCY_KEY_IN_USE", "DEADLINE_EXCEEDED"})
"""Codes that say when to come back even if the service did not; each 503 does too."""

DEFAULT_RETRY_AFTER = 1
"""Seconds to wait where waiting helps and nobody said how long."""
