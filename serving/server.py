"""A gRPC server that starts loudly and stops softly."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from serving import metrics
from serving.process import StartError
from serving.unserved import ReadableRequests, UnknownMethods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from serving.health import HealthBoard

log = structlog.get_logger(__name__)

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.so_reuseport", 0),  # two servers on one port would both start, unseen
    # Bounds what one connection can start and reset: calls that were taken back count until we
    # have seen them. More than a peer of ours has at work, for calls beyond it are not queued
    # but fail (grpcio 1.85).
    ("grpc.max_concurrent_streams", 600),
    # How many calls of a method may wait until Python sees them, at some 18 KB each. Beyond it
    # grpc cancels calls of it at random, anybody's: by default, two connections could have that.
    ("grpc.server.max_pending_requests", 2_000),
    ("grpc.server.max_pending_requests_hard_limit", 4_000),
    ("grpc.max_receive_message_length", 256 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # No connection is for ever: load spreads anew, and a certificate that has ended goes with
    # it. Calls that have begun have longer to end than any of ours may take.
    ("grpc.max_connection_idle_ms", 15 * 60_000),
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    # Pings are cheap to send and not to answer. Channels of ours send one in 20 s; by
    # default, one in 5 minutes is what a server puts up with.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
]


@asynccontextmanager
async def grpc_server(
    addresses: Sequence[str],
    add_services: Callable[[grpc.aio.Server], None],
    *,
    health: HealthBoard,
    services: Iterable[str],
    interceptors: Sequence[grpc.aio.ServerInterceptor],
    grace: float,
    credentials: grpc.ServerCredentials | None = None,
    reflected: bool = False,
) -> AsyncIterator[grpc.aio.Server]:
    """Serve while the block runs; on the way out drain for `grace` seconds.

    TCP addresses are served with `credentials`, as serving.tls makes them, Unix
    sockets always without. Reflection tells strangers what there is to try: off,
    unless `reflected`.

    Raises:
        StartError: An address that cannot be listened on.

    """
    around = [UnknownMethods(), *interceptors, ReadableRequests()]
    server = grpc.aio.server(interceptors=around, options=_OPTIONS)
    add_services(server)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if reflected:
        reflection.enable_server_reflection(
            (*services, "grpc.health.v1.Health", reflection.SERVICE_NAME), server
        )
    for address in addresses:
        await _listen(server, address, credentials)
    await health.open()
    await server.start()
    log.info("listening", addresses=list(addresses), tls=credentials is not None)
    try:
        with metrics.DEPENDENCY_UP.reading(health.up):
            yield server
    finally:
        await health.drain()
        await server.stop(grace)


async def _listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> None:
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if await _answers(path):  # binding would take the socket from its owner, unseen
            raise StartError(f"cannot listen on {address}: another process does")
        _bind(server, address, None)
        path.chmod(0o600)  # noqa: ASYNC240 - grpc makes it 0755, whatever the umask
    else:
        await _probe(address)
        _bind(server, address, credentials)


def _bind(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> None:
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address}") from error


async def _probe(address: str) -> None:
    """Bind once ourselves: grpc tells that it could not, but not why."""
    host, _, port = address.rpartition(":")
    try:
        probe = await asyncio.start_server(lambda _r, _w: None, host.strip("[]"), int(port))
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not HOST:PORT"
        raise StartError(f"cannot listen on {address}: {why}") from error
    probe.close()
    await probe.wait_closed()


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
