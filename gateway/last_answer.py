"""The answer to what did not become a request: no application sees it, so it has no other way."""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers

from gateway import forwarding
from gateway.cors import Cors
from gateway.envelope import COMMON_HEADERS, refusal_response
from gateway.refusal import Refusal


def last_answer(
    refused: Refusal, asked: Headers, cors: Cors, default_headers: Iterable[tuple[bytes, bytes]]
) -> tuple[bytes, str]:
    """Return a refusal as it goes over the wire, the last one on its connection, and its id.

    `asked` are the headers that were read of what is refused: they have the id, the form
    of the answer and the origin that may read it, as those of a request do.
    """
    request_id = forwarding.request_id(asked)
    response = refusal_response(refused, asked, request_id)
    response.headers.update(COMMON_HEADERS)
    response.headers["X-Request-Id"] = request_id
    response.headers["Connection"] = "close"
    cors.mark(asked, response.headers)
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
    return b"".join(lines), request_id
