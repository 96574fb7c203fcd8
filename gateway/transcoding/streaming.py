"""Answer with a stream of messages, in the form that the `Accept` header asks for.

- `application/x-ndjson`: a line of JSON for each message, `{"result": …}`, and
  `{"error": …}` as the last if the RPC fails. grpc-gateway has the same lines
  under the name of `application/json`, which whoever asks for gets.
- `text/event-stream` (HTML, 9.2): an event for each message. At the end comes
  an event `end`, after which a browser's EventSource should be closed, for it
  would ask again; or an event `error`.

What is in an error is the body of the answer that the error alone would have had.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import Headers

from gateway.transcoding import accept
from gateway.transcoding.errors import NotAcceptableError
from gateway.transcoding.strict_json import Json

T = TypeVar("T")

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
JSON = "application/json"

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Vary": "Accept",
    "X-Accel-Buffering": "no",  # nginx would wait until 4 KiB have come together
}
"""What every stream has."""


@dataclass(frozen=True)
class Form:
    """How a stream is written.

    `idle` is what shows that the connection lives while there is no message.
    """

    media_type: str
    message: Callable[[bytes], bytes]
    error: Callable[[bytes], bytes]
    end: bytes = b""
    idle: bytes = b""


def _lines(media_type: str) -> Form:
    return Form(
        media_type,
        message=lambda text: b'{"result":' + text + b"}\n",
        error=lambda text: b'{"error":' + text + b"}\n",
    )


FORMS = (
    _lines(NDJSON),
    _lines(JSON),
    Form(
        EVENTS,
        message=lambda text: b"data: " + text + b"\n\n",
        error=lambda text: b"event: error\ndata: " + text + b"\n\n",
        end=b"event: end\ndata: {}\n\n",
        idle=b": \n\n",
    ),
)
"""The forms that there are; the first is for who does not say."""


def choose(headers: Headers) -> Form:
    """Return the form that is taken most gladly, and of several one that is named.

    Raises NotAcceptableError.
    """
    ranges = accept.parse(headers.getlist("accept"))
    best = max(
        FORMS,
        key=lambda form: (
            accept.quality(ranges, form.media_type),
            accept.names(ranges, form.media_type),
        ),
    )
    if not accept.quality(ranges, best.media_type):
        raise NotAcceptableError([form.media_type for form in FORMS])
    return best


def dumps(tree: Json) -> bytes:
    """Return JSON in one line."""
    return json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def one_line(body: bytes) -> bytes:
    """Return a body that is JSON in one line, and any other as a string."""
    try:
        return dumps(json.loads(body))
    except ValueError:
        return dumps(body.decode(errors="replace"))


async def with_pauses(items: AsyncIterator[T], pause: float) -> AsyncGenerator[T | None, None]:
    """Yield `items`, and None whenever there was none for `pause` seconds."""
    pending: asyncio.Future[T] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(items))
            done, _ = await asyncio.wait({pending}, timeout=pause)
            if not done:
                yield None
                continue
            finished, pending = pending, None
            try:
                item = finished.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)
