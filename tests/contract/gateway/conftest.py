"""The gateway on a loopback port, before a TokenService that behaves, on a Unix socket."""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from google.protobuf import timestamp_pb2

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from serving import errors
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[Any, Any]

CREDENTIAL = "Bearer good"
ISSUED_AT = 1_767_225_600  # 2026-01-01T00:00:00Z


@dataclass
class FakeTokenService(pb_grpc.TokenServiceServicer):
    """Issues tokens to whoever has the credential, and remembers what it was asked.

    `failure` makes it fail so, as `status` makes it end in a bare status; while
    `held`, it does not answer. It sends what is `initial` and `trailing` metadata.
    """

    failure: errors.ServiceError | None = None
    status: tuple[grpc.StatusCode, str] | None = None
    held: asyncio.Event | None = None
    initial: tuple[tuple[str, str | bytes], ...] = ()
    trailing: tuple[tuple[str, str | bytes], ...] = ()
    by_limit: list[pb.LimitUse] | None = None
    next_allowed_at: int | None = None
    decision_id: str = ""
    """Of what is refused for its content."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    """What no request for a token can be, whoever sent it."""
    metadata: dict[str, str] = field(default_factory=dict)
    metadata_keys: list[str] = field(default_factory=list)
    time_remaining: float | None = None

    def reset(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]

    async def _take(self, request: Any, context: Context, *, anyone: bool = False) -> None:
        modality = getattr(request, "response_modality", "").upper()
        refused = modality not in {"", "TEXT", "AUDIO"}
        (self.refused if refused else self.requests).append(request)
        self.metadata = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        self.metadata_keys = [str(k) for k, _ in context.invocation_metadata() or ()]
        self.time_remaining = context.time_remaining()
        if self.initial:
            await context.send_initial_metadata(self.initial)
        if self.trailing:
            context.set_trailing_metadata(self.trailing)
        self.entered.set()
        if self.held is not None:
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if not anyone and self.metadata.get("authorization") != CREDENTIAL:
            raise errors.Unauthenticated
        if self.failure is not None:
            raise self.failure
        if self.status is not None:
            await context.abort(*self.status)
        if refused:
            error = errors.InvalidArgument("responseModality", "must be TEXT or AUDIO")
            if self.decision_id:
                error.metadata[errors.DECISION_ID] = self.decision_id
            raise error

    @property
    def usage(self) -> pb.Usage:
        """The usage of somebody who had one token."""
        limits = pb.UsageLimits(tokens_per_hour=10, tokens_per_day=100)
        used = pb.LimitUse(limit="tokens_per_hour", value=10, used=1)
        wait = pb.LimitUse(limit="cooldown", value=300, used=0.5)
        wait.next_allowed_time.seconds = ISSUED_AT
        usage = pb.Usage(
            active_tokens=1,
            tokens_last_hour=1,
            tokens_last_day=1,
            limits=limits,
            by_limit=[used, wait] if self.by_limit is None else self.by_limit,
        )
        if self.next_allowed_at is not None:
            usage.next_allowed_time.seconds = self.next_allowed_at
        return usage

    async def CreateToken(  # noqa: N802 - gRPC's spelling
        self, request: pb.CreateTokenRequest, context: Context
    ) -> pb.CreateTokenResponse:
        """Issue a token."""
        await self._take(request, context)
        return pb.CreateTokenResponse(
            token="auth_tokens/fake",
            expire_time=timestamp_pb2.Timestamp(seconds=ISSUED_AT + 1800),
            new_session_expire_time=timestamp_pb2.Timestamp(seconds=ISSUED_AT + 120),
            constraints=pb.TokenConstraints(
                model="gemini", max_duration_minutes=30, response_modality="TEXT"
            ),
            usage=self.usage,
            decision_id="d-1",
            api_version="v1beta",
        )

    async def GetUsage(  # noqa: N802
        self, request: pb.GetUsageRequest, context: Context
    ) -> pb.GetUsageResponse:
        """Tell the usage."""
        await self._take(request, context)
        return pb.GetUsageResponse(data=self.usage)

    async def GetHealth(  # noqa: N802
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        """Tell that all is well, to anyone."""
        await self._take(request, context, anyone=True)
        return pb.GetHealthResponse(
            data=pb.Health(status="SERVING", dependencies={"policy": "SERVING"})
        )

    async def GetConfig(  # noqa: N802
        self, request: pb.GetConfigRequest, context: Context
    ) -> pb.GetConfigResponse:
        """Tell the configuration."""
        await self._take(request, context)
        return pb.GetConfigResponse(data=pb.Config(default_model="gemini", cooldown_minutes=5))

    async def GetStats(  # noqa: N802
        self, request: pb.GetStatsRequest, context: Context
    ) -> pb.GetStatsResponse:
        """Tell the numbers to nobody: no caller here is an operator."""
        await self._take(request, context)
        raise errors.PermissionDenied


@dataclass(frozen=True)
class Answer:
    """What came back: `body` is the parsed JSON, None where there was no body."""

    status: int
    headers: Any
    body: Any


@dataclass(frozen=True)
class Browser:
    """Sends requests to the gateway at `base`, with a good credential unless told otherwise."""

    base: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request; `headers` replace the credential."""
        options.setdefault("headers", {"Authorization": CREDENTIAL})
        async with self.session.request(method, self.base + path, **options) as response:
            data = await response.read()
            body = await response.json() if data else None
            return Answer(response.status, response.headers, body)


@dataclass(frozen=True)
class Gateway:
    """A running gateway, what it stands before, and what stands before it."""

    port: int
    service: FakeTokenService
    browser: Browser
    stop: asyncio.Event
    server: asyncio.Task[None]


Launch = Callable[..., AbstractAsyncContextManager[Gateway]]


@asynccontextmanager
async def serve_tokens(service: FakeTokenService, path: Path) -> AsyncIterator[None]:
    """Serve `service` on a Unix socket, with the interceptor and the limits of the real one."""

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_TokenServiceServicer_to_server(service, server)

    async with grpc_server(
        [f"unix:{path}"],
        add,
        health=HealthBoard([]),
        services=[],
        interceptors=[RequestInterceptor()],
        grace=0,
    ):
        yield


@asynccontextmanager
async def run_gateway(
    target: str, service: FakeTokenService, *, sndbuf: int | None = None, **settings: Any
) -> AsyncIterator[Gateway]:
    """Run the gateway before `target`, in this loop, on a port that is free.

    By its clock, it is when tokens are issued. `sndbuf` is how much of an answer the
    system takes of it that nobody reads.
    """
    chosen = GatewaySettings(port=0, tokenservice_target=target, drain_seconds=1, **settings)
    listener = http_server.listen(chosen.host, chosen.port)
    if sndbuf is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    host, port = listener.getsockname()
    stop = asyncio.Event()
    async with open_channel(target) as channel:
        server = asyncio.create_task(
            http_server.serve(
                make_app(chosen, channel, lambda: ISSUED_AT * 1000), listener, chosen, stop
            )
        )
        async with aiohttp.ClientSession() as session:
            browser = Browser(f"http://{host}:{port}", session)
            try:
                yield Gateway(port, service, browser, stop, server)
            finally:
                if service.held is not None:
                    service.held.set()
        stop.set()
        await server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Run a gateway and its service for all tests of a module."""
    path = tmp_path_factory.mktemp("run") / "t.sock"
    service = FakeTokenService()
    async with serve_tokens(service, path), run_gateway(f"unix:{path}", service) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """Return the running gateway, its service as new."""
    running.service.reset()
    return running


@asynccontextmanager
async def _launched(
    directory: Path, *, served: bool = True, **settings: Any
) -> AsyncIterator[Gateway]:
    path = directory / "t.sock"
    service = FakeTokenService()
    async with AsyncExitStack() as stack:
        if served:
            await stack.enter_async_context(serve_tokens(service, path))
        yield await stack.enter_async_context(run_gateway(f"unix:{path}", service, **settings))


@pytest.fixture(scope="session")
def launch_at() -> Launch:
    """Return a function that runs another gateway, with settings, from a directory of its own."""
    return _launched


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Return a function that runs another gateway, with settings, before a service or none."""
    return functools.partial(_launched, tmp_path)
