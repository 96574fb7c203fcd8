"""The emulator as a server: both ports, from start to stop."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from emulator import control, http_api, live
from emulator.clock import Clock
from emulator.core import EMULATOR, Emulator
from emulator.options import NO_TLS, Options
from emulator.tls import Certificate

if TYPE_CHECKING:
    import ssl
    from pathlib import Path
    from types import TracebackType

_DRAIN_SECONDS = 0.5
_BACKLOG = 512
_THE_PORT_IS_AT_FAULT = {errno.EADDRINUSE, errno.EACCES}


_log = logging.getLogger(__name__)


def _leave_out_raw_requests(record: logging.LogRecord) -> bool:
    """Drop what aiohttp quotes of a malformed request: it may hold a token."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
    return True


_log.addFilter(_leave_out_raw_requests)


class CannotListen(Exception):
    """A port cannot be had; the message is one line and names the flag."""


class EmulatorServer:
    """A running emulator.

    `async with EmulatorServer(Options(port=0, tls_port=0)) as emulator` serves
    on two free ports until the block ends.
    """

    def __init__(self, options: Options | None = None, clock: Clock | None = None) -> None:
        self.options = options or Options()
        self.core = Emulator(options=self.options, clock=clock or Clock())
        self._runner = web.AppRunner(
            _application(self.core),
            access_log=None,  # a token stands in the URL that it would print
            logger=_log,
            handler_cancellation=True,
            shutdown_timeout=_DRAIN_SECONDS,
        )
        self._certificate: Certificate | None = None
        self._port = 0
        self._tls_port = 0

    @property
    def base_url(self) -> str:
        """Where http and ws are served."""
        return f"http://{self._address}:{self._port}"

    @property
    def tls_base_url(self) -> str | None:
        """Where https and wss are served; None without TLS."""
        return f"https://{self._address}:{self._tls_port}" if self._certificate else None

    @property
    def ca_file(self) -> Path | None:
        """The certificate authority that TLS clients must trust; None without TLS."""
        return self._certificate.ca_file if self._certificate else None

    async def start(self) -> None:
        """Listen on both ports, or raise CannotListen."""
        await self._runner.setup()
        try:
            self._port = await self._listen(self.options.port, "--port")
            if self.options.tls_port != NO_TLS:
                self._certificate = self._make_certificate()
                self._tls_port = await self._listen(
                    self.options.tls_port, "--tls-port", self._certificate.context
                )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End every connection and stop listening."""
        self.core.stopping.set()
        await self._runner.cleanup()
        if self._certificate:
            self._certificate.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.close()

    async def _listen(self, port: int, flag: str, context: ssl.SSLContext | None = None) -> int:
        host = self.options.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            flag = flag if error.errno in _THE_PORT_IS_AT_FAULT else "--host"
            reason = str(error.strerror).partition(" (while")[0]
            raise CannotListen(f"{flag}: cannot listen on {host}:{port}: {reason}") from error
        await web.SockSite(self._runner, listening, ssl_context=context, backlog=_BACKLOG).start()
        actual: int = listening.getsockname()[1]
        return actual

    def _make_certificate(self) -> Certificate:
        try:
            return Certificate(self.options.ca_file, (self.options.host, *self.options.tls_names))
        except OSError as error:
            raise CannotListen(f"--ca-file: cannot write it: {error.strerror}") from error
        except ValueError as error:
            raise CannotListen(f"--tls-names: no certificate can hold them: {error}") from error

    @property
    def _address(self) -> str:
        """The host as a client on this machine writes it."""
        match self.options.host:
            case "0.0.0.0":  # noqa: S104  # compared with, not bound to
                return "127.0.0.1"
            case "::":
                return "[::1]"
            case host:
                return f"[{host}]" if ":" in host else host


def _application(core: Emulator) -> web.Application:
    application = web.Application(middlewares=[http_api.google_errors])
    application[EMULATOR] = core
    application.add_routes([*control.routes(), *http_api.routes(), *live.routes()])
    return application
