"""Real Valkey servers, for the length of a test.

What ends a server in the end is synchronous, so that no cancellation comes between.
"""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from servers_process import HOST, binary, free_port, spawn
from servers_waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

NOTHING: Mapping[str, str] = MappingProxyType({})
_COMMON = {"bind": HOST, "protected-mode": "no", "daemonize": "no"}
_DATA = {"save": '""', "appendonly": "no", "maxmemory-policy": "noeviction"}


class PortTaken(RuntimeError):
    """Another program listens on the port."""


class ValkeyServer:
    """One server, which can be stopped, killed, paused and started again on the same data."""

    def __init__(
        self, directory: Path, port: int, config: Mapping[str, str], *, sentinel: bool = False
    ) -> None:
        self.port = port
        self.address = (HOST, port)
        self.password = config.get("requirepass", "").strip('"')
        self._user = f":{quote(self.password, safe='')}@" if self.password else ""
        self.socket = config.get("unixsocket", "")
        self.log = directory / "server.log"
        directory.mkdir(parents=True, exist_ok=True)
        # A file, not arguments: Sentinel and CONFIG REWRITE write to it, and restarts see that.
        file = directory / "server.conf"
        place = {"port": str(port), "dir": f'"{directory.absolute()}"'}
        lines = {**_COMMON, **({} if sentinel else _DATA), **config, **place}
        file.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        self._command = [binary(), str(file.absolute()), *(["--sentinel"] if sentinel else [])]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of database 0, over TCP."""
        return f"redis://{self._user}{HOST}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The URL of database 0, over the server's Unix socket."""
        if not self.socket:
            raise RuntimeError("the server has no Unix socket: start it with unix=True")
        return f"unix://{self._user}{self.socket}?db=0"

    @property
    def running(self) -> bool:
        """Whether there is a process, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        if self._process is None or not self.running:
            raise RuntimeError(f"the server on port {self.port} is not running")
        return self._process.pid

    def client(self) -> Redis:
        """Return an impatient client that never tries again; `async with` closes it."""
        return Redis(
            host=HOST,
            port=self.port,
            password=self.password or None,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send one command, over a connection of its own."""
        async with self.client() as redis:
            untyped: Any = redis
            return await untyped.execute_command(*command)

    async def info(self, section: str) -> dict[str, Any]:
        """Return what the server tells about itself in `section`."""
        async with self.client() as redis:
            return dict(await redis.info(section))

    async def start(self, *, loading_ok: bool = False, within: float = 10) -> None:
        """Start, and wait until the server answers; with `loading_ok`, be it that it loads."""
        if self.running:
            raise RuntimeError(f"the server on port {self.port} is running")
        process = self._process = spawn(self._command, self.log)

        async def ready() -> bool:
            if process.poll() is not None:
                told = self.log.read_text(errors="replace")[-2000:]
                kind = PortTaken if "in use" in told else RuntimeError
                raise kind(f"the server on port {self.port} ended:\n{told}")
            try:
                await self.ask("PING")
            except BusyLoadingError:
                if not loading_ok:
                    raise
            # Who answers may be another's server, which has had the port before ours, which ends.
            return bool((await self.info("server"))["process_id"] == process.pid)

        try:
            await until(ready, within, f"the server on port {self.port} is ready")
        except BaseException:
            self.kill()
            raise

    async def stop(self, within: float = 10) -> None:
        """Ask the server to end (SIGTERM), and wait; one that does not is killed."""
        process = self._process
        if process is None:
            return
        try:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a paused one would never hear of it

            async def ended() -> bool:
                return process.poll() is not None

            await until(ended, within, f"the server on port {self.port} has stopped")
        finally:
            self.kill()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL), paused or not; it is gone on return."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the process (SIGSTOP): connections are accepted by the kernel, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)  # it takes a moment

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    async def restart(self, *, loading_ok: bool = False) -> None:
        """Stop and start on the same port and directory; what the AOF holds is loaded."""
        await self.stop()
        await self.start(loading_ok=loading_ok)


@asynccontextmanager
async def valkey_server(
    directory: Path,
    *,
    config: Mapping[str, str] = NOTHING,
    port: int | None = None,
    unix: bool = False,
    sentinel: bool = False,
) -> AsyncIterator[ValkeyServer]:
    """Run a server with its data in `directory`; `config` holds lines of its configuration."""
    # A temporary directory of pytest's may be too long for the address of a socket.
    with tempfile.TemporaryDirectory(prefix="valkey-") as short:
        settings = {"unixsocket": f"{short}/socket", **config} if unix else config
        server = ValkeyServer(directory, port or free_port(), settings, sentinel=sentinel)
        try:
            for remaining in reversed(range(5)):
                try:
                    await server.start()
                    break
                except PortTaken:
                    if port or not remaining:
                        raise
                server.log.unlink()
                server = ValkeyServer(directory, free_port(), settings, sentinel=sentinel)
            yield server
        finally:
            server.kill()
