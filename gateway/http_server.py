"""Serve an ASGI application over HTTP/1.1 until told to stop."""

import asyncio
import errno
import functools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from gateway.connections import Connections
from gateway.cors import Cors
from gateway.http_protocol import HttpLimits, HttpProtocol
from gateway.settings import GatewaySettings
from serving.certificates import Certificates
from serving.process import StartError
from serving.tls import https_context


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises StartError, which says what to do, if it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(
            (str(address[0]), port), family=family, backlog=1024, reuse_port=False
        )
        # Connections inherit it. asyncio would set it, but not on a socket whose protocol is 0;
        # without it, each answer's body waits for the acknowledgement of its head: some 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        why = (
            "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        )
        raise StartError(
            f"{host}:{port} {why}; set GATEWAY_HOST and GATEWAY_PORT to a free address"
        ) from error
    return listener


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    settings: GatewaySettings,
    stop: asyncio.Event,
    *,
    https: Certificates | None = None,
) -> None:
    """Serve until `stop`, then let what is under way end, for as long as the drain may take.

    With `https` over TLS, else in plaintext.
    """
    config = uvicorn.Config(
        app,
        http=_protocol(settings),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        headers=[_hsts(settings)] if https else [],
        ssl_context_factory=(lambda _config, _default: https_context(https)) if https else None,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )
    server = _Server(config, handshake_seconds=settings.head_timeout_ms / 1000)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


def _hsts(settings: GatewaySettings) -> tuple[str, str]:
    """Return what browsers keep: to come by HTTPS alone, RFC 6797.

    Of this host alone: others of its domain are not ours to speak for.
    """
    return "Strict-Transport-Security", f"max-age={settings.hsts_max_age_seconds}"


def _protocol(settings: GatewaySettings) -> type[asyncio.Protocol]:
    """Return what makes the protocol of each connection; all count on one list."""
    limits = HttpLimits(
        head_timeout=settings.head_timeout_ms / 1000,
        write_timeout=settings.write_timeout_ms / 1000,
        max_head_bytes=settings.max_head_bytes,
        max_headers=settings.max_headers,
    )
    connections = Connections(
        settings.max_connections, settings.max_connections_per_address, settings.proxies
    )
    make = functools.partial(
        HttpProtocol, limits=limits, connections=connections, cors=Cors.of(settings)
    )
    return cast("type[asyncio.Protocol]", make)  # uvicorn calls it, and asks nothing else of it


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which has handlers of its own, and TLS no minute."""

    def __init__(self, config: uvicorn.Config, *, handshake_seconds: float) -> None:
        super().__init__(config)
        self._handshake_seconds = handshake_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, but for the handshake's time: its own is asyncio's."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        tls = self.config.ssl
        seconds = None if tls is None else self._handshake_seconds
        for each in sockets or []:
            self.servers.append(
                await loop.create_server(
                    self._connection,
                    sock=each,
                    ssl=tls,
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=seconds,
                    backlog=self.config.backlog,
                )
            )

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
