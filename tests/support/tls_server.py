"""A server that speaks TLS, and tells who called it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from servers_process import free_port

from serving.certificates import Certificates
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.peers import peer_of
from serving.server import grpc_server
from serving.tls import server_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from authority import Kit

SERVING = health_pb2.HealthCheckResponse.SERVING


class Witness(grpc.aio.ServerInterceptor):
    """Answers each unary call itself, with who made it; holds it while told to."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.released = asyncio.Event()
        self.released.set()
        self.entered = asyncio.Event()

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Answer what nobody else would."""
        if handler_call_details.method != "/witness/Who":
            return await continuation(handler_call_details)

        async def who(_: bytes, context: Any) -> bytes:
            self.entered.set()
            await self.released.wait()
            return ",".join(peer_of(context).identities).encode()

        return grpc.unary_unary_rpc_method_handler(who)


@dataclass(frozen=True)
class Listening:
    """A running server."""

    target: str
    witness: Witness = field(default_factory=Witness)


@asynccontextmanager
async def tls_server(
    kit: Kit | None, *, require_client: bool = True, unix: str | None = None
) -> AsyncIterator[Listening]:
    """Serve on loopback, on a socket too if there is a path; plaintext without certificates."""
    target = f"127.0.0.1:{free_port()}"
    witness = Witness()
    certificates = Certificates(kit.files()) if kit else None
    async with grpc_server(
        [target, *([unix] if unix else [])],
        lambda _: None,
        health=HealthBoard([]),
        services=[],
        interceptors=[witness],
        grace=1,
        credentials=server_credentials(certificates, require_client=require_client),
    ):
        yield Listening(target, witness)


async def greet(target: str, kit: Kit | None, *, server_name: str | None = None) -> bool:
    """Make one call with a kit; return whether it is answered."""
    certificates = Certificates(kit.files()) if kit else None
    async with open_channel(target, certificates, server_name=server_name) as channel:
        return await healthy(channel)


async def healthy(channel: grpc.aio.Channel) -> bool:
    """Return whether a call is answered; that the server cannot be reached is no."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        raise
    return bool(answer.status == SERVING)


async def identities(channel: grpc.aio.Channel) -> Sequence[str]:
    """Return who the server says we are."""
    who: Any = channel.unary_unary("/witness/Who")
    answer: bytes = await who(b"", timeout=10)
    return answer.decode().split(",") if answer else []
