"""The answer to what did not become a request: no application sees it, so it has no other way."""

from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers

from gateway import forwarding
from gateway.cors import Cors
from gateway.envelope import COMMON_HEADERS, refusal_response
from gateway.refusal import Refusal


def last_answer(
    refused: Refusal,
    asked: Headers,
    cors: Cors,
    default_headers: Iterable[tuple[bytes, bytes]],
    request_id: str,
) -> bytes:
    """Return a refusal as it goes over the wire, the last one on its connection.

    `asked` are the headers that were read of what is refused: they have the form of the
    answer and the origin that may read it, as those of a request do.
    """
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
    return b"".join(lines)


def take_over(state: MutableMapping[str, Any], refused: Refusal, asked: Headers) -> str:
    """Tell an application, which may not have begun, how its request is answered.

    `state` is the request's. Return the request's id.
    """
    request_id: str = state.setdefault("request_id", forwarding.request_id(asked))
    state["refused"] = refused.status, refused.code
    return request_id
