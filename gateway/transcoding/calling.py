"""Make the RPC of a binding on a grpc.aio channel."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from gateway.transcoding.errors import CallFailedError, Metadata
from gateway.transcoding.rules import Binding

_STATUS_KEY = "grpc-status-details-bin"

__all__ = ["CallOptions", "Caller", "ChannelCaller", "Metadata", "Reply", "ReplyStream"]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What goes with an RPC.

    `timeout`, in seconds, can only shorten the caller's own; one that is not
    above zero fails with DEADLINE_EXCEEDED, and no RPC is made.
    """

    metadata: Metadata = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a unary RPC brought."""

    message: Message
    initial_metadata: Metadata = ()
    trailing_metadata: Metadata = ()


@dataclass(frozen=True, slots=True)
class ReplyStream:
    """What a server-streaming RPC brings.

    `messages` reads the next when it is asked for it, and raises CallFailedError
    where the RPC does not end in OK.
    """

    messages: AsyncIterator[Message]
    initial_metadata: Metadata = ()


class Caller(Protocol):
    """Makes the RPC of a binding. Raises CallFailedError if it does not end in OK."""

    async def unary(self, binding: Binding, request: Message, options: CallOptions) -> Reply:
        """Return the reply. Cancelling it cancels the RPC."""

    def stream(
        self, binding: Binding, request: Message, options: CallOptions
    ) -> AbstractAsyncContextManager[ReplyStream]:
        """Return what has the replies while it is open; to leave it cancels the RPC.

        CallFailedError, of `messages` too, shall leave it, for wrappers to see it.
        """


class ChannelCaller:
    """Makes RPCs on `channel`, each of which must end within `timeout` seconds.

    Streams have `stream_timeout` seconds, without end by default.
    """

    def __init__(
        self, channel: grpc.aio.Channel, timeout: float, stream_timeout: float | None = None
    ) -> None:
        self._channel = channel
        self._timeout = timeout
        self._stream_timeout = stream_timeout
        self._stubs: dict[str, Any] = {}

    async def unary(self, binding: Binding, request: Message, options: CallOptions) -> Reply:
        """Return the reply. Raises CallFailedError; cancelling it cancels the RPC."""
        timeout = _shorter(self._timeout, options.timeout)
        call = self._stub(binding)(request, timeout=timeout, metadata=options.metadata)
        with _failing():
            message: Message = await call
            return Reply(
                message,
                _entries(await call.initial_metadata()),
                _entries(await call.trailing_metadata()),
            )

    @asynccontextmanager
    async def stream(
        self, binding: Binding, request: Message, options: CallOptions
    ) -> AsyncIterator[ReplyStream]:
        """Return what has the replies while it is open. Raises CallFailedError."""
        timeout = _shorter(self._stream_timeout, options.timeout)
        call = self._stub(binding)(request, timeout=timeout, metadata=options.metadata)
        try:
            with _failing():
                initial = _entries(await call.initial_metadata())
            yield ReplyStream(_messages(call), initial)
        finally:
            call.cancel()

    def _stub(self, binding: Binding) -> Any:
        stub = self._stubs.get(binding.rpc_path)
        if stub is None:
            streams = binding.rpc.server_streaming
            make = self._channel.unary_stream if streams else self._channel.unary_unary
            stub = self._stubs[binding.rpc_path] = make(
                binding.rpc_path,
                request_serializer=binding.request_class.SerializeToString,
                response_deserializer=binding.response_class.FromString,
            )
        return stub


_Trailers: TypeAlias = Iterable[tuple[str, str | bytes]] | None


async def _messages(call: Any) -> AsyncIterator[Message]:
    with _failing():
        async for message in call:
            yield message


def _shorter(default: float | None, asked: float | None) -> float | None:
    if asked is None:
        return default
    if asked <= 0:
        raise CallFailedError(grpc.StatusCode.DEADLINE_EXCEEDED)
    return asked if default is None else min(default, asked)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        trailing = _entries(error.trailing_metadata())
        raise CallFailedError(
            error.code(),
            error.details() or "",
            _status(trailing),
            initial_metadata=_entries(error.initial_metadata()),
            trailing_metadata=trailing,
        ) from error
    except asyncio.CancelledError as error:
        # grpc.aio raises this for a status CANCELLED from the server as well.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CallFailedError(grpc.StatusCode.CANCELLED) from error


def _entries(metadata: _Trailers) -> Metadata:
    return cast("Metadata", tuple(metadata)) if metadata else ()


def _status(trailers: Metadata) -> status_pb2.Status | None:
    for key, value in trailers:
        if key == _STATUS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
