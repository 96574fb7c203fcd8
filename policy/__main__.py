"""The policy sidecar: `policy`, or `python -m policy`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NoReturn

from policy.memory import MemoryStore
from policy.pseudonym import Pseudonyms
from policy.service import PolicyService
from policy.settings import MIN_KEY_BYTES, PolicySettings
from policy.v1 import policy_pb2_grpc
from serving.clock import steady_clock
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.process import run
from serving.server import grpc_server

if TYPE_CHECKING:
    import asyncio

SERVICE = "policy.v1.PolicyService"


def main() -> NoReturn:
    """Run until told to stop."""
    run("policy", PolicySettings, serve)


async def serve(settings: PolicySettings, stop: asyncio.Event) -> None:
    """Compose the sidecar and serve until `stop`."""
    # With the memory store, a key of this process's own serves as long as the store.
    key = (
        settings.hash_key.get_secret_value().encode()
        if settings.hash_key
        else secrets.token_bytes(MIN_KEY_BYTES)
    )
    store = MemoryStore(steady_clock(), lease_ms=settings.lease_ms, max_users=settings.max_users)
    service = PolicyService(store, settings.limits, Pseudonyms(key))
    async with grpc_server(
        settings.listen,
        lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(service, server),
        health=HealthBoard([SERVICE]),
        services=[SERVICE],
        interceptors=[RequestInterceptor()],
        grace=settings.drain_seconds,
    ):
        await stop.wait()


if __name__ == "__main__":
    main()
