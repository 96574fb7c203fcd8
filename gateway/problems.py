"""A refusal as problem details: RFC 9457.

Three outcomes have a problem type, that of the draft on rate limits
(draft-ietf-httpapi-ratelimit-headers-10, section 5). The others are
`about:blank`, which says that the status is the type: what is narrower than
that, programs read in `code`, which is the same in both forms of a refusal.
"""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID

from gateway.outcomes import CLIENT_CLOSED_REQUEST
from gateway.refusal import Refusal
from gateway.transcoding.strict_json import Json

_REGISTRY = "https://iana.org/assignments/http-problem-types#"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem, and its title, which is the same for each of them."""

    uri: str
    title: str


BY_CODE = {
    "RATE_LIMIT_EXCEEDED": ProblemType(
        _REGISTRY + "quota-exceeded",
        "Request cannot be satisfied as assigned quota has been exceeded",
    ),
    "UPSTREAM_UNAVAILABLE": ProblemType(
        _REGISTRY + "temporary-reduced-capacity",
        "Request cannot be satisfied due to temporary server capacity constraints",
    ),
    "ABUSE_DETECTED": ProblemType(
        _REGISTRY + "abnormal-usage-detected",
        "Request not satisfied due to detection of abnormal request pattern",
    ),
}
"""The problem types that are not `about:blank`, by the code of the refusal."""


def problem(refused: Refusal, request_id: str, trace_id: str = "") -> dict[str, Json]:
    """Return the problem details; what the contract's body has is in them as extensions."""
    named = BY_CODE.get(refused.code)
    kind = named or ProblemType("about:blank", _phrase(refused.status))
    members: dict[str, Json] = {
        "type": kind.uri,
        "title": kind.title,
        "status": refused.status,
        "detail": refused.error,
        "instance": _instance(request_id),
    }
    if named:
        members["violated-policies"] = list(refused.violated)
    return members | refused.body(request_id, trace_id)


def _phrase(status: int) -> str:
    if status == CLIENT_CLOSED_REQUEST:  # nobody's but nginx's
        return "Client Closed Request"
    return HTTPStatus(status).phrase


def _instance(request_id: str) -> str:
    """Name the occurrence: by the UUID that we make, or by what the caller calls it."""
    try:
        return UUID(request_id).urn
    except ValueError:
        return f"urn:x-request-id:{quote(request_id, safe='')}"
