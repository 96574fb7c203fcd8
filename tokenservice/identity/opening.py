"""Opens the store of identities that the settings name."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from serving.process import StartError
from serving.redis.connect import RedisOptions, open_redis
from serving.stores import StoreUnavailable
from tokenservice.identity.directory import Directory, NoDirectory
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.redis_rows import RedisRows
from tokenservice.identity.rows import UnsafeRows
from tokenservice.identity.settings import SQLITE
from tokenservice.identity.sqlite_rows import SqliteRows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving.clock import Clock
    from tokenservice.identity.rows import Rows
    from tokenservice.identity.settings import IdentitySettings

log = structlog.get_logger(__name__)

_CONNECTIONS = 4


@asynccontextmanager
async def open_directory(
    settings: IdentitySettings, clock: Clock, *, proofs: bool = False
) -> AsyncIterator[Directory | NoDirectory]:
    """Yield what requests are judged by, read once if the store is there.

    With `proofs`, the store remembers those that were used as well.

    Raises:
        StartError: The store cannot be relied on, or was written under another key.

    """
    if settings.store_url is None or settings.hash_key is None:
        yield NoDirectory()
        return
    keyring = Keyring(settings.hash_key.get_secret_value().encode())
    async with open_rows(settings, keyring) as rows:
        directory = Directory(rows, keyring, clock, stale_seconds=settings.revocation_stale_seconds)
        try:
            if isinstance(rows, RedisRows):
                await rows.check(proofs=proofs)
            await directory.refresh()
        except UnsafeRows as error:
            raise StartError(f"TOKENSERVICE_STORE_URL: {error}") from error
        except StoreUnavailable as error:
            # Processes start in any order: until the store is there, everybody is refused.
            log.warning("store is away", cause=str(error))
        yield directory


@asynccontextmanager
async def open_rows(settings: IdentitySettings, keyring: Keyring) -> AsyncIterator[Rows]:
    """Yield the store itself.

    Raises:
        ValueError: The settings name none.

    """
    if settings.store_url is None:
        raise ValueError("TOKENSERVICE_STORE_URL: must be set")
    url, patience_ms = settings.store_url.get_secret_value(), settings.store_timeout_ms
    names = keyring.fingerprint
    if url.startswith(SQLITE):
        file = SqliteRows(Path(url.removeprefix(SQLITE)), names=names, timeout_ms=patience_ms)
        try:
            yield file
        finally:
            file.close()
        return
    options = RedisOptions(
        connect_timeout_ms=patience_ms, socket_timeout_ms=patience_ms, max_connections=_CONNECTIONS
    )
    async with open_redis(url, options) as client:
        yield RedisRows(
            client,
            names=names,
            prefix=settings.store_prefix,
            # A connection may have to be made first; the sum is what a call may take.
            timeout_ms=patience_ms * 3 // 2,
        )
