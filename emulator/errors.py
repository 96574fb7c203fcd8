"""What goes wrong, in the shapes in which Google says it.

GoogleError      an HTTP answer: `{"error": {"code", "message", "status", "details"}}`
InvalidPayload   JSON that does not fit its schema, wherever it was read
Refusal          a WebSocket close: a code and a reason
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVICE = "generativelanguage.googleapis.com"
UNREGISTERED_CALLER = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)
INVALID_API_KEY = "API key not valid. Please pass a valid API key."

STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

INVALID_FRAME = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
GOING_AWAY = 1001


class GoogleError(Exception):
    """An HTTP error answer."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str | None = None,
        details: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS_OF_CODE.get(code, "UNKNOWN")
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        """Return the JSON that Google sends with this error."""
        error = {"code": self.code, "message": self.message, "status": self.status}
        return {"error": {**error, "details": self.details} if self.details else error}


class InvalidPayload(Exception):
    """JSON that does not fit the schema; `field` is where, in snake_case as Google writes it."""

    def __init__(self, description: str, field: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.field = field

    def as_google_error(self) -> GoogleError:
        """Return the HTTP answer for it."""
        violation = {"field": self.field} if self.field else {}
        violation["description"] = self.description
        detail = {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [violation],
        }
        return GoogleError(400, self.description, details=[detail])


class Refusal(Exception):
    """The end of a live connection, with the code and reason that the peer will read."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def invalid_api_key() -> GoogleError:
    """Return the answer to a key that is not this project's."""
    return GoogleError(
        400,
        INVALID_API_KEY,
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": SERVICE},
            }
        ],
    )


def missing_api_key() -> GoogleError:
    """Return the answer to a request without a key."""
    return GoogleError(403, UNREGISTERED_CALLER)
