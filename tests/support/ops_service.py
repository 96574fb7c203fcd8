"""An OperationsService whose seconds pass when a test says so, behind the real gateway."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from secrets_watch import WATCH

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from serving import errors
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.server import grpc_server
from tokenservice.v1 import operations_pb2 as pb, operations_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

OPERATOR = "the-bearer-token-of-an-operator"
SOMEBODY = "the-bearer-token-of-somebody-else"
OPERATOR_KEY = "ltk_000000000000_" + "o" * 38
for _credential in (OPERATOR, SOMEBODY, OPERATOR_KEY):
    WATCH.know("a credential", _credential)
_GOOD = {f"Bearer {OPERATOR}", OPERATOR_KEY}
DAY = 86_400


class OperatorKeyNotSet(errors.FailedPrecondition):
    """Tokenservice is no operator of policy's."""

    reason = "OPERATOR_KEY_NOT_SET"
    message = "Policy cannot be asked: TOKENSERVICE_POLICY_OPERATOR_KEY is not set."


@dataclass
class FakeOperations(pb_grpc.OperationsServiceServicer):
    """A service that is watched. `failures` are what RPCs fail with, by name."""

    instance: str = "b8f1c2d3e4a59687"
    start: float = field(default_factory=lambda: time.time() - 3 * 3600)
    failures: dict[str, errors.ServiceError] = field(default_factory=dict)
    blocks: list[pb.Block] = field(default_factory=list)
    clients: list[pb.RefusedClient] = field(default_factory=list)
    dependencies: dict[str, str] = field(
        default_factory=lambda: {"gemini": "SERVING", "identity": "SERVING", "policy": "SERVING"}
    )
    hops: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "tokenservice": (0.046, 0.31),
            "policy": (0.0012, 0.0085),
            "gemini": (0.041, 0.29),
        }
    )
    load: tuple[int, int] = (12, 256)
    held: asyncio.Event | None = None
    """While it is there and not set, no block is lifted."""
    lifts: list[pb.LiftBlockRequest] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _streams: list[asyncio.Queue[Any]] = field(default_factory=list)
    _now: float = field(default_factory=time.time)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._streams)

    def second(
        self, issued: int = 0, refused: Mapping[str, int] | None = None, *, replayed: int = 0
    ) -> None:
        """Let a second pass in which this happened, and tell those who watch."""
        self._now += 1
        self._tell(self._moment(1, issued, replayed, refused or {}))

    def end(self) -> None:
        """Ask those who watch to come again."""
        self._tell(None)

    def fail(self, error: errors.ServiceError) -> None:
        """Fail in the middle of what is watched."""
        self._tell(error)

    def _tell(self, what: Any) -> None:
        for stream in self._streams:
            stream.put_nowait(what)

    def _moment(
        self, period: int, issued: int, replayed: int, refused: Mapping[str, int]
    ) -> pb.WatchOperationsResponse:
        return pb.WatchOperationsResponse(
            time=at(self._now),
            period=Duration(seconds=period),
            instance=self.instance,
            start_time=at(self.start),
            issued=issued,
            replayed=replayed,
            refused=[pb.RefusalCount(reason=key, count=n) for key, n in refused.items()],
            hops=[
                pb.Hop(name=name, count=60, p50=_took(p50), p99=_took(p99))
                for name, (p50, p99) in self.hops.items()
            ],
            dependencies=[
                pb.Dependency(name=name, state=state) for name, state in self.dependencies.items()
            ],
            active_calls=self.load[0],
            capacity=self.load[1],
        )

    async def WatchOperations(  # noqa: N802 - gRPC's spelling
        self,
        request: pb.WatchOperationsRequest,  # noqa: ARG002
        context: Context,
    ) -> AsyncIterator[pb.WatchOperationsResponse]:
        """Tell each second."""
        self._enter("WatchOperations", context)
        stream: asyncio.Queue[Any] = asyncio.Queue()
        self._streams.append(stream)
        try:
            yield self._moment(0, 0, 0, {})
            while (told := await stream.get()) is not None:
                if isinstance(told, errors.ServiceError):
                    raise told
                yield told
        finally:
            self._streams.remove(stream)

    async def ListRefused(  # noqa: N802
        self,
        request: pb.ListRefusedRequest,  # noqa: ARG002
        context: Context,
    ) -> pb.ListRefusedResponse:
        """List who was refused."""
        self._enter("ListRefused", context)
        return pb.ListRefusedResponse(clients=self.clients, since=at(self.start))

    async def ListBlocks(  # noqa: N802
        self, request: pb.ListBlocksRequest, context: Context
    ) -> pb.ListBlocksResponse:
        """List the blocks, page by page."""
        self._enter("ListBlocks", context)
        begin = int(request.page_token or 0)
        end = begin + (request.page_size or 100)
        more = str(end) if end < len(self.blocks) else ""
        return pb.ListBlocksResponse(blocks=self.blocks[begin:end], next_page_token=more)

    async def LiftBlock(  # noqa: N802
        self, request: pb.LiftBlockRequest, context: Context
    ) -> pb.LiftBlockResponse:
        """Lift a block."""
        self._enter("LiftBlock", context)
        self.lifts.append(request)
        if self.held is not None:
            await self.held.wait()
        kept = [each for each in self.blocks if each.offender != request.offender]
        lifted, self.blocks = len(kept) < len(self.blocks), kept
        return pb.LiftBlockResponse(lifted=lifted)

    def _enter(self, method: str, context: Context) -> None:
        self.calls.append(method)
        metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        credential = metadata.get("authorization") or metadata.get("x-api-key")
        if credential == f"Bearer {SOMEBODY}":
            raise errors.PermissionDenied("Only operators may watch the service.")
        if credential not in _GOOD:
            raise errors.Unauthenticated
        if failure := self.failures.get(method):
            raise failure


def block(
    user: str, *, reason: str = "asks too often", actor: str = "policy", seconds: float = 3600
) -> pb.Block:
    """Return a block of a user that ends in so many seconds."""
    return pb.Block(
        offender=pb.Offender(user=user),
        reason=reason,
        actor=actor,
        create_time=at(time.time() - 600),
        expire_time=at(time.time() + seconds),
    )


def client(
    user: str, refusals: int, *, reason: str = "cooldown", address: bool = False
) -> pb.RefusedClient:
    """Return somebody who was refused that often."""
    offender = pb.Offender(address=user) if address else pb.Offender(user=user)
    return pb.RefusedClient(
        offender=offender, refusals=refusals, last_reason=reason, last_time=at(time.time() - 12)
    )


def at(seconds: float) -> Timestamp:
    """Return a time since 1970 as a message."""
    timestamp = Timestamp()
    timestamp.FromMilliseconds(round(seconds * 1000))
    return timestamp


def _took(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration


@asynccontextmanager
async def watched(
    service: FakeOperations, directory: Path, *, ops: bool = True
) -> AsyncIterator[int]:
    """Serve it through a gateway of its own, unless that is off; yield the gateway's port."""
    target = f"unix:{directory / 'o.sock'}"
    settings = GatewaySettings(port=0, tokenservice_target=target, drain_seconds=1, ops=ops)
    listener = http_server.listen(settings.host, settings.port)
    stop = asyncio.Event()

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_OperationsServiceServicer_to_server(service, server)

    async with (
        grpc_server(
            [target],
            add,
            health=HealthBoard([]),
            services=[],
            interceptors=[RequestInterceptor()],
            grace=0,
        ),
        open_channel(target) as channel,
    ):
        app = make_app(settings, channel, stop=stop)
        serving = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await serving
