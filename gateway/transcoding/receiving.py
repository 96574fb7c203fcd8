"""Read the body of an ASGI request, within limits, and notice when the client leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gateway.transcoding.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    SlowBodyError,
    UnsupportedMediaTypeError,
)

T = TypeVar("T")

_JSON = "application/json"
_UTF_8 = {"charset=utf-8", 'charset="utf-8"'}


async def read_body(
    headers: Headers,
    receive: Receive,
    *,
    limit: int,
    timeout: float,  # noqa: ASYNC109 - the body's, and named so in the answer
    any_type: bool = False,
) -> bytes:
    """Return the body, which is empty if there is none.

    Raises UnsupportedMediaTypeError for a body that is not plain JSON, unless it
    may be of `any_type`, or that is compressed;
    PayloadTooLargeError above `limit` bytes, before reading where the request
    says its size, SlowBodyError after `timeout` seconds, and starlette's
    ClientDisconnect.
    """
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaTypeError(
            "The body must not be compressed.", {"Accept-Encoding": "identity"}
        )
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise PayloadTooLargeError(limit)
    try:
        async with asyncio.timeout(timeout):
            body = await _read(receive, limit)
    except TimeoutError:
        raise SlowBodyError from None
    if body and not any_type and not _is_json(single(headers, "content-type") or ""):
        raise UnsupportedMediaTypeError(
            f"The body must be {_JSON}, and the Content-Type must say so.", {"Accept": _JSON}
        )
    return body


async def unless_disconnected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return what `work` returns, or cancel it as soon as the client has left.

    The body must have been read. Raises starlette's ClientDisconnect.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def single(headers: Headers, name: str) -> str | None:
    """Return the only value of a header, or None if it is absent.

    Raises InvalidRequestError if it is there twice: which one is meant, this
    side and the other might decide differently.
    """
    values = headers.getlist(name)
    if len(values) > 1:
        raise InvalidRequestError("is given twice", field=name)
    return values[0].strip() if values else None


async def _read(receive: Receive, limit: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > limit:
            raise PayloadTooLargeError(limit)
        if not message.get("more_body", False):
            return body


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_json(content_type: str) -> bool:
    media_type, *rest = (part.strip().lower() for part in content_type.split(";"))
    return media_type == _JSON and all(
        parameter in _UTF_8 for parameter in rest if parameter.startswith("charset=")
    )
