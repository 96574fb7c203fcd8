"""Policy on a real store that fails: what its callers get, and how long that takes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import policy_server
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr
from secrets_watch import WATCH
from servers_waiting import until
from structlog.testing import capture_logs

from policy.__main__ import serve
from policy.redis.checks import ACL
from policy.settings import PolicySettings
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel
from serving.rendering import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from servers import ValkeyServer
    from servers_proxy import Proxy

SERVICE = policy_server.SERVICE
HASH_KEY = "k" * 32
PASSWORD = "secret-of-the-store"
USER = f"policy on >{PASSWORD} {ACL.format(prefix='lt')}"
"""A user of the store with no more rights than policy needs: a line of a configuration."""
DURABLE = {"appendonly": "yes", "appendfsync": "no"}
"""Loses nothing to a crash of the server, which is all that we try, and waits for no disk."""
UNHURRIED = 5_000
"""A timeout of the store, where a test on a busy machine shall not meet it."""
IN_TIME = 2.0
"""Within what an answer must be there, on a machine that is busy with other tests as well.

The store's timeout is 250 ms, an operation's 375 ms; an idle machine adds some 10 ms to that.
"""
BACK = 20.0
"""Within what all must be well again, likewise; it takes about one."""


def url_of(place: ValkeyServer | Proxy) -> str:
    """Return the URL by which policy reaches a server that knows `USER`."""
    host, port = place.address
    return f"redis://policy:{PASSWORD}@{host}:{port}/0"


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    code: str
    """OK, or the status that it failed with."""
    reason: str
    """Of the failure, for programs."""
    seconds: float
    message: Any = None

    @property
    def outcome(self) -> str:
        """What was decided, for comparisons: `granted`, `COOLDOWN`, and so on."""
        if self.code != "OK":
            return self.reason or self.code
        match self.message:
            case pb.CommitResponse(outcome=outcome):
                return pb.CommitResponse.Outcome.Name(outcome).removeprefix("OUTCOME_")
            case pb.ReleaseResponse(released=released):
                return "released" if released else "nothing"
            case pb.ReserveResponse():
                return self._decision()
            case _:
                return "answered"

    def _decision(self) -> str:
        kind: str = self.message.WhichOneof("outcome")
        if kind != "refusal":
            return {"reservation": "granted", "replay": "replayed"}[kind]
        return pb.Refusal.Reason.Name(self.message.refusal.reason).removeprefix("REASON_")

    @property
    def no_decision(self) -> bool:
        """Whether the caller was told, in time, that nobody can decide."""
        told = (self.code, self.reason) == ("UNAVAILABLE", "POLICY_UNAVAILABLE")
        return told and self.seconds < IN_TIME


@dataclass
class Policy:
    """A running policy, and its callers' side of the line."""

    address: str
    channel: grpc.aio.Channel
    logs: Iterable[Any] = ()
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def new_user(self) -> str:
        """Return a subject that nobody used before."""
        return f"user-{next(self.numbers)}-{secrets.token_hex(4)}"

    async def ask(self, method: str, request: Any, timeout: float = 5) -> Answer:  # noqa: ASYNC109 - the call's own
        """Call a method."""
        stub = policy_pb2_grpc.PolicyServiceStub(self.channel)
        started = time.monotonic()
        try:
            message = await getattr(stub, method)(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code().name, _reason(error), time.monotonic() - started)
        return Answer("OK", "", time.monotonic() - started, message)

    async def reserve(self, subject: str, request: str = "r", **more: Any) -> Answer:
        """Reserve a token."""
        timeout = more.pop("timeout", 5)
        asked = policy_server.reserve(request, subject=subject, **more)
        return await self.ask("Reserve", asked, timeout)

    async def commit(self, subject: str, request: str = "r", **more: Any) -> Answer:
        """Commit it."""
        now = time.time_ns() // 1_000_000
        return await self.ask(
            "Commit", policy_server.commit(request, subject=subject, now=now, **more)
        )

    async def release(self, subject: str, request: str = "r", **more: Any) -> Answer:
        """Release it."""
        key = policy_server.key(request, subject=subject, **more)
        return await self.ask("Release", pb.ReleaseRequest(key=key))

    async def decided(self, ask: Callable[..., Awaitable[Answer]], *args: Any, **more: Any) -> str:
        """Ask until there is an answer, and return what it is: on a busy machine one may be late.

        Each attempt can be repeated.
        """
        answer = Answer("", "", 0)

        async def known() -> bool:
            nonlocal answer
            answer = await ask(*args, **more)
            return answer.code == "OK"

        await until(known, BACK, "policy decides")
        return answer.outcome

    async def usage(self, subject: str) -> Answer:
        """Read a user's usage."""
        return await self.ask("GetUsage", pb.GetUsageRequest(subject=subject))

    async def issue(self, subject: str, request: str = "r") -> None:
        """Reserve and commit, which must succeed."""
        assert await self.decided(self.reserve, subject, request) == "granted"
        assert await self.decided(self.commit, subject, request) == "COMMITTED"

    async def serves(self) -> bool:
        """Ask for its health."""
        health: Any = health_pb2_grpc.HealthStub(self.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def until_serving(self, *, serving: bool = True, within: float = BACK) -> float:
        """Wait until health says so; return how long that took."""
        started = time.monotonic()

        async def said() -> bool:
            try:
                return await self.serves() is serving
            except grpc.aio.AioRpcError:  # not even listening
                return False

        await until(said, within, f"policy says {'' if serving else 'NOT_'}SERVING")
        return time.monotonic() - started

    async def until_told(self, cause: str) -> None:
        """Wait until its log gives that cause for its being NOT_SERVING."""

        async def told() -> bool:
            return any(cause in each for each in self.causes())

        await until(told, BACK, f"policy's log says {cause}")

    def said(self, event: str) -> list[Any]:
        """Return the lines of its log with that event."""
        return [line for line in self.logs if line["event"] == event]

    def causes(self) -> list[str]:
        """Return why it was that health said NOT_SERVING, each time."""
        return [line["cause"] for line in self.said("dependency") if "cause" in line]


def _reason(error: grpc.aio.AioRpcError) -> str:
    packed: Any = dict(error.trailing_metadata() or ()).get(DETAILS_KEY, b"")
    for detail in status_pb2.Status.FromString(packed).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


@asynccontextmanager
async def serving(url: str, **settings: Any) -> AsyncIterator[Policy]:
    """Run policy, composed as its process composes it, in this one."""
    with tempfile.TemporaryDirectory(prefix="policy-") as short, capture_logs() as logs:
        address = f"unix:{short}/policy.sock"
        told = PolicySettings(
            listen=(address,),
            hash_key=SecretStr(HASH_KEY),
            store_url=SecretStr(url),
            **{"drain_seconds": 0.5, **settings},
        )
        stop = asyncio.Event()
        running = asyncio.create_task(serve(told, stop))
        try:
            async with open_channel(address) as channel:
                policy = Policy(address, channel, logs)

                async def listening() -> bool:
                    if running.done():
                        await running
                    try:
                        await policy.serves()
                    except grpc.aio.AioRpcError:
                        return False
                    return True

                await until(listening, BACK, "policy listens")
                yield policy
                assert not running.done(), "it ran all the time"
        finally:
            stop.set()
            await running


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process of ours that knows of no other setting."""
    ours = ("POLICY_", "LIVE_API_", "OTEL_", "LOG_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | variables


async def end_of(**variables: str) -> tuple[int | None, list[str]]:
    """Run policy's process to its end; return its exit code, and its lines on standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policy"),
        env=environment(LOG_LEVEL="warning", **variables),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(BACK):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert out == b""
    return process.returncode, err.decode().splitlines()


@asynccontextmanager
async def process(url: str, **variables: str) -> AsyncIterator[Policy]:
    """Run policy's process."""
    with tempfile.TemporaryDirectory(prefix="policy-") as short:
        address, log = f"unix:{short}/policy.sock", Path(short) / "log"
        with log.open("wb") as err:
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "policy"),
                env=environment(
                    POLICY_LISTEN=address,
                    POLICY_HASH_KEY=HASH_KEY,
                    POLICY_STORE_URL=url,
                    DRAIN_SECONDS="0.5",
                    **variables,
                ),
                stderr=err,
            )
        try:
            async with open_channel(address) as channel:
                policy = Policy(address, channel, Lines(log))

                async def listening() -> bool:
                    assert running.returncode is None, log.read_text()
                    try:
                        await policy.serves()
                    except grpc.aio.AioRpcError:
                        return False
                    return True

                await until(listening, BACK, "policy listens")
                yield policy
            running.terminate()
            async with asyncio.timeout(BACK):
                assert await running.wait() == 0
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
            WATCH.look("policy's standard error", log.read_text())


class Lines(Iterable[Any]):
    """What is in a process's log by now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Any]:
        """Read it, but for a line that is being written."""
        for line in self._path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)
