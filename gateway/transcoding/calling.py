"""Make the RPC of a binding on a grpc.aio channel."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.rules import Binding

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_STATUS_KEY = "grpc-status-details-bin"


class Caller(Protocol):
    """Makes the RPC of a binding. Raises CallFailedError if it does not end in OK."""

    async def __call__(self, binding: Binding, request: Message, metadata: Metadata) -> Message:
        """Return the response."""


class UnaryCaller:
    """Makes RPCs on `channel`, each of which must end within `timeout` seconds."""

    def __init__(self, channel: grpc.aio.Channel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._stubs: dict[str, Any] = {}

    async def __call__(self, binding: Binding, request: Message, metadata: Metadata) -> Message:
        """Return the response. Raises CallFailedError; cancelling it cancels the RPC."""
        try:
            response: Message = await self._stub(binding)(
                request, timeout=self._timeout, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            status = _status(error.trailing_metadata())
            raise CallFailedError(error.code(), error.details() or "", status) from error
        except asyncio.CancelledError as error:
            # grpc.aio raises this for a status CANCELLED from the server as well.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise CallFailedError(grpc.StatusCode.CANCELLED) from error
        return response

    def _stub(self, binding: Binding) -> Any:
        stub = self._stubs.get(binding.rpc_path)
        if stub is None:
            stub = self._stubs[binding.rpc_path] = self._channel.unary_unary(
                binding.rpc_path,
                request_serializer=binding.request_class.SerializeToString,
                response_deserializer=binding.response_class.FromString,
            )
        return stub


def _status(trailers: Iterable[tuple[str, str | bytes]] | None) -> status_pb2.Status | None:
    for key, value in trailers or ():
        if key == _STATUS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
