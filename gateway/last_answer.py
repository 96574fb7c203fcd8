"""The answer to what did not become a request: no application sees it, so it has no other way."""

from collections.abc import Iterable
from http import HTTPStatus

from gateway.envelope import COMMON_HEADERS, JsonResponse
from gateway.refusal import Refusal


def last_answer(
    refused: Refusal, request_id: str, default_headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return a refusal as it goes over the wire, the last one on its connection."""
    response = JsonResponse(refused.body(request_id), status_code=refused.status)
    response.headers.update(COMMON_HEADERS)
    response.headers["X-Request-Id"] = request_id
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    response.headers["Connection"] = "close"
    status = HTTPStatus(refused.status)
    lines = (
        f"HTTP/1.1 {status} {status.phrase}\r\n".encode(),
        *(
            name + b": " + value + b"\r\n"
            for name, value in (*default_headers, *response.raw_headers)
        ),
        b"\r\n",
        bytes(response.body),
    )
    return b"".join(lines)
