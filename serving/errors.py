"""The outcomes that are not success: one type each, no wire format.

Logic raises these; `serving.rendering` turns them into gRPC statuses. What a
caller may read is `message`, `reason` and `retry_after`. The cause (`raise …
from cause`) is for the log alone.

    ServiceError
    ├── Unauthenticated
    ├── PermissionDenied
    ├── InvalidArgument
    ├── QuotaExceeded
    ├── Throttled
    ├── Aborted
    ├── FailedPrecondition
    ├── Unavailable
    └── Internal
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN = "live-token"
"""The `domain` of every google.rpc.ErrorInfo of ours (AIP-193)."""

DECISION_ID = "decision_id"
"""The key in `ServiceError.metadata` for the policy's decision that an outcome came of."""


PROOF_ALGORITHMS = "dpop_algs"
"""The key in `ServiceError.metadata`, where a proof of possession is what is missing or bad,
for the algorithms of those that are taken, by spaces (RFC 9449, section 7.1)."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request, in the caller's spelling, and what it must be."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A limit that was met, by name and in words.

    `value` is the limit itself, in what it counts or in seconds; 0: not known.
    """

    subject: str
    description: str
    value: int = 0


class ServiceError(Exception):
    """An outcome that is not success.

    `message` is a fixed sentence for people; `reason` an UPPER_SNAKE word for
    programs; `retry_after` seconds, where waiting helps; `metadata` what
    programs may know beside the reason.
    """

    reason: str = "INTERNAL"
    message: str = "Something went wrong on our side."
    retry_after: float | None = None

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        if message is not None:
            self.message = message
        if retry_after is not None:
            self.retry_after = retry_after
        self.metadata: dict[str, str] = {}
        super().__init__(self.message)


class Unauthenticated(ServiceError):
    """The caller did not prove who it is."""

    reason = "UNAUTHENTICATED"
    message = "The request has no valid credentials."


class PermissionDenied(ServiceError):
    """The caller is known, and may not."""

    reason = "PERMISSION_DENIED"
    message = "You may not do this."


class InvalidArgument(ServiceError):
    """A field of the request is not what it must be; the message names the first.

    `violations` has the others too, where they are known.
    """

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.violations: tuple[FieldViolation, ...] = (FieldViolation(field, description),)


class QuotaExceeded(ServiceError):
    """The caller has had what it may have, for now."""

    reason = "RATE_LIMIT_EXCEEDED"

    def __init__(
        self, message: str, violation: QuotaViolation, *, retry_after: float | None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.violation = violation


class Throttled(ServiceError):
    """The caller asks in a way that is not answered, for now; no limit was met."""

    reason = "THROTTLED"
    message = "The request was refused."


class Aborted(ServiceError):
    """Somebody else is at the same work; the same request may pass later."""

    reason = "ABORTED"


class FailedPrecondition(ServiceError):
    """The request contradicts an earlier one; repeating it cannot help."""

    reason = "FAILED_PRECONDITION"


class Unavailable(ServiceError):
    """A dependency is away, slow or full; the same request may pass later.

    `dependencies` says which, where it is known: name → reason.
    """

    reason = "UNAVAILABLE"
    retry_after: float | None = 1.0
    dependencies: Mapping[str, str] = MappingProxyType({})


class Internal(ServiceError):
    """Our fault, and waiting does not help."""

    reason = "INTERNAL"
