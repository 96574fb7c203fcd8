"""A gRPC channel whose certificate may be replaced: gRPC's own keeps what it began with."""

from __future__ import annotations

import asyncio
import time
import weakref
from typing import TYPE_CHECKING, Any, Self

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from serving.certificates import Certificates, Material

_LOOK_SECONDS = 1.0


class RenewingChannel(grpc.aio.Channel):
    """Makes calls over a channel with the newest certificate.

    When that is replaced, calls under way end on the old channel, which is then closed.
    """

    def __init__(
        self,
        certificates: Certificates,
        open_: Callable[[Material], grpc.aio.Channel],
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = _LOOK_SECONDS,
    ) -> None:
        """Open a channel; look for a newer certificate every `interval` seconds at most."""
        self._certificates = certificates
        self._open = open_
        self._clock = clock
        self._interval = interval
        self._look_at = clock() + interval
        self._newest = _Channel(certificates.current(), open_)
        self._older: set[_Channel] = set()
        self._closed = False

    def newest(self) -> _Channel:
        """Return the channel to make a call over."""
        now = self._clock()
        if now >= self._look_at and not self._closed:
            self._look_at = now + self._interval
            material = self._certificates.current()
            if material is not self._newest.material:
                older, self._newest = self._newest, _Channel(material, self._open)
                self._older.add(older)
                older.close_when_idle(self._older.discard)
        return self._newest

    async def close(self, grace: float | None = None) -> None:
        """See grpc.aio.Channel; so does the rest."""
        self._closed = True
        await asyncio.gather(*(each.channel.close(grace) for each in (self._newest, *self._older)))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002, D102 - gRPC's
        return self.newest().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:  # noqa: D102
        await self.newest().channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:  # noqa: D102
        await self.newest().channel.channel_ready()

    async def __aenter__(self) -> Self:  # noqa: D105
        return self

    async def __aexit__(  # noqa: D105
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return _Method(self, lambda channel: channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return _Method(self, lambda channel: channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return _Method(self, lambda channel: channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return _Method(self, lambda channel: channel.stream_stream(*args, **kwargs))


class _Channel:
    """A channel with one certificate, and the calls that are under way on it."""

    def __init__(self, material: Material, open_: Callable[[Material], grpc.aio.Channel]) -> None:
        self.material = material
        self.channel = open_(material)
        self._calls: weakref.WeakSet[Any] = weakref.WeakSet()
        self._on_close: Callable[[_Channel], None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def started(self, call: Any) -> Any:
        self._calls.add(call)
        call.add_done_callback(self._ended)
        return call

    def close_when_idle(self, on_close: Callable[[_Channel], None]) -> None:
        self._on_close = on_close
        self._close_if_idle()

    def _ended(self, call: Any) -> None:
        self._calls.discard(call)
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._on_close is not None and not self._calls and self._closing is None:
            self._closing = asyncio.ensure_future(self._close(self._on_close))

    async def _close(self, on_close: Callable[[_Channel], None]) -> None:
        await self.channel.close()
        on_close(self)


class _Method:
    """A stub's method, on whichever channel is the newest."""

    def __init__(
        self, channels: RenewingChannel, of: Callable[[grpc.aio.Channel], Callable[..., Any]]
    ) -> None:
        self._channels = channels
        self._of = of
        self._channel: _Channel | None = None
        self._method: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        newest = self._channels.newest()
        if newest is not self._channel:
            self._channel, self._method = newest, self._of(newest.channel)
        return newest.started(self._method(*args, **kwargs))
