"""HTTP/2 by hand (RFC 9113), for what no gRPC client would do to a server."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_HEADERS, END_STREAM, ACK = 0x4, 0x1, 0x1
CANCEL, ENHANCE_YOUR_CALM = 0x8, 0xB


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    CONTINUATION = 9


@dataclass(frozen=True)
class Frame:
    """A frame, as it goes over the wire."""

    kind: int
    flags: int = 0
    stream: int = 0
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        """Return the wire form."""
        size = len(self.payload).to_bytes(3, "big")
        return size + struct.pack(">BBI", self.kind, self.flags, self.stream) + self.payload


def headers(path: str, *more: tuple[str, str]) -> bytes:
    """Return the header block of a gRPC call: HPACK literals that are not indexed."""
    fields = ((b"\x04", path), (b"\x01", "localhost"))  # :path and :authority, by their index
    block = b"\x83\x86"  # :method POST, :scheme http
    block += b"".join(index + _text(value) for index, value in fields)
    named = (("te", "trailers"), ("content-type", "application/grpc"), *more)
    return block + b"".join(b"\x00" + _text(name) + _text(value) for name, value in named)


def reset(stream: int) -> Frame:
    """Return the frame that takes a call back."""
    return Frame(Kind.RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))


@dataclass
class Http2:
    """A connection to a gRPC server, which is told nothing but what one sends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *frames: Frame) -> bool:
        """Send frames; return whether the server still takes them."""
        self.writer.write(b"".join(map(bytes, frames)))
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()
            return True
        return False

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield what the server sends, until it hangs up."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self.reader.readexactly(9)
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                yield Frame(kind, flags, stream, payload)


@asynccontextmanager
async def connect_http2(port: int) -> AsyncIterator[Http2]:
    """Connect to a port of this machine, and say hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        connection = Http2(reader, writer)
        writer.write(PREFACE)
        await connection.send(Frame(Kind.SETTINGS))
        yield connection
    finally:
        writer.transport.abort()


def _text(text: str) -> bytes:
    data = text.encode()
    return _integer(len(data)) + data


def _integer(value: int) -> bytes:
    """Return an HPACK integer with a prefix of 7 bits (RFC 7541, 5.1)."""
    if value < 0x7F:
        return bytes([value])
    out, value = [0x7F], value - 0x7F
    while value >= 0x80:
        out.append(value % 0x80 + 0x80)
        value //= 0x80
    return bytes([*out, value])
