"""Send what RPCs bring where the envelope has no say: streams, and bodies that are not JSON."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from gateway.transcoding import streaming
from gateway.transcoding.calling import Metadata, ReplyStream
from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.rendering import render
from gateway.transcoding.rules import Binding

AnswerHeaders: TypeAlias = Callable[[Request, Metadata], Mapping[str, str]]
"""Gives the headers for the server's initial metadata."""

_BYTES = "application/octet-stream"


class StreamBrokenError(Exception):
    """An RPC failed while its answer was on its way, in a form that has no word for it.

    It is for the server to cut the connection off, so that nobody takes what
    has arrived for all of it.
    """


def raw_response(binding: Binding, message: Message, headers: Mapping[str, str]) -> Response:
    """Return the answer that the HttpBody in a response stands for."""
    media_type, data = _http_body(binding, message)
    return Response(data, headers={**headers, "Content-Type": media_type})


@dataclass(frozen=True)
class StreamAnswer:
    """Writes replies to the client as they come.

    Nothing is written ahead of the first reply, or of the first `pause` seconds
    without one: an RPC that fails before has a status of its own. The next reply
    is read when the client has taken the last one.
    """

    request: Request
    binding: Binding
    form: streaming.Form | None
    """None where messages are HttpBody: their bytes are sent one after the other."""
    headers: AnswerHeaders
    error_body: Callable[[CallFailedError], bytes]
    pause: float

    async def send(self, stream: AbstractAsyncContextManager[ReplyStream], send: Send) -> None:
        """Write all replies of a stream, and how it ended.

        Raises CallFailedError if nothing was written yet, and StreamBrokenError.
        """
        writer = _Writer(send)
        try:
            async with stream as replies:
                writer.headers = self.headers(self.request, replies.initial_metadata)
                await self._write(replies.messages, writer)
        except CallFailedError as error:
            if not writer.begun:
                raise
            if self.form is None:
                raise StreamBrokenError from error
            await writer.write(self.form.error(streaming.one_line(self.error_body(error))))
        await writer.end()

    async def _write(self, messages: AsyncIterator[Message], writer: "_Writer") -> None:
        form = self.form
        if form is not None:
            writer.media_type = form.media_type
        async with aclosing(streaming.with_pauses(messages, self.pause)) as items:
            async for message in items:
                if message is None:
                    chunk = form.idle if form else b""
                elif form is None:
                    media_type, chunk = _http_body(self.binding, message)
                    writer.media_type = writer.media_type or media_type
                else:
                    chunk = form.message(streaming.dumps(render(self.binding, message)))
                if self.request.method == "HEAD":
                    return
                if writer.media_type:
                    await writer.write(chunk)
        if form is not None and form.end:
            await writer.write(form.end)


class _Writer:
    """An answer, which begins with the first chunk that is written."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.headers: Mapping[str, str] = {}
        self.media_type = ""
        self.begun = False

    async def write(self, chunk: bytes) -> None:
        """Send a chunk."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """Send that there is nothing more."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self) -> None:
        if self.begun:
            return
        self.begun = True
        headers = {**streaming.HEADERS, **self.headers, "Content-Type": self.media_type or _BYTES}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})


def _http_body(binding: Binding, message: Message) -> tuple[str, bytes]:
    field = binding.response_body
    # An HttpBody, but maybe of another pool than the generated class.
    body: Any = message if field is None else getattr(message, field.name)
    content_type: str = body.content_type
    well_formed = content_type.isascii() and content_type.isprintable()
    return content_type if content_type and well_formed else _BYTES, body.data
