"""Opens what asks for proofs of possession, as the settings have it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from serving.redis.connect import RedisOptions, open_redis
from tokenservice.identity.dpop import ProofVerifier
from tokenservice.identity.possession import Possession
from tokenservice.identity.replays import MemoryReplays, RedisReplays, Replays

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving.clock import Clock
    from tokenservice.settings import TokenServiceSettings

_CONNECTIONS = 8


@asynccontextmanager
async def open_possession(
    settings: TokenServiceSettings, clock: Clock
) -> AsyncIterator[Possession]:
    """Yield what asks for proofs. A store that is away is asked again with each proof."""
    if settings.dpop == "off":
        yield Possession(None)
        return
    async with _open_replays(settings, clock) as replays:
        verifier = ProofVerifier(replays, clock, origins=settings.dpop_origins)
        yield Possession(verifier, required=settings.dpop == "required")


@asynccontextmanager
async def _open_replays(settings: TokenServiceSettings, clock: Clock) -> AsyncIterator[Replays]:
    url = settings.shared_store_url
    if url is None:
        yield MemoryReplays(clock)
        return
    patience_ms = settings.store_timeout_ms
    options = RedisOptions(
        connect_timeout_ms=patience_ms, socket_timeout_ms=patience_ms, max_connections=_CONNECTIONS
    )
    async with open_redis(url, options) as client:
        yield RedisReplays(
            client,
            prefix=settings.store_prefix,
            # A connection may have to be made first; the sum is what a call may take.
            timeout_ms=patience_ms * 3 // 2,
        )
