"""The command line's way to the store of identities: the same variables as the service's."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from serving.settings import SettingsError, load
from serving.stores import StoreUnavailable
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.opening import open_rows
from tokenservice.identity.registry import Registry
from tokenservice.identity.rows import TooManyRows, UnsafeRows
from tokenservice.identity.settings import IdentitySettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")
T = TypeVar("T")

_BAD_SETTING = 2
_PATIENCE_MS = 5_000  # an operator waits longer than a request


class BadSetting(click.ClickException):
    """An environment variable that cannot be used."""

    exit_code = _BAD_SETTING


def now() -> int:
    """Return the time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def with_registry(
    command: Callable[Concatenate[Registry, P], Awaitable[None]],
) -> Callable[P, None]:
    """Give a command the registry of the store that the environment names."""

    @functools.wraps(command)
    def connected(*args: P.args, **options: P.kwargs) -> None:
        settings = _settings()
        try:
            asyncio.run(_run(settings, lambda registry: command(registry, *args, **options)))
        except TooManyRows as error:
            raise click.ClickException(f"no more of them can be kept: {error}") from error
        except UnsafeRows as error:
            raise click.ClickException(str(error)) from error
        except StoreUnavailable as error:
            raise click.ClickException(f"the store is not available: {error}") from error

    return connected


async def _run(settings: IdentitySettings, work: Callable[[Registry], Awaitable[Any]]) -> None:
    key = settings.hash_key.get_secret_value() if settings.hash_key else ""
    keyring = Keyring(key.encode())
    async with open_rows(settings, keyring) as rows:
        await work(Registry(rows, keyring, now))


def _settings() -> IdentitySettings:
    try:
        settings = load(IdentitySettings)
    except SettingsError as error:
        raise BadSetting(str(error)) from error
    if settings.store_url is None:
        raise BadSetting("TOKENSERVICE_STORE_URL: must be set: it says where keys and users are")
    patience = max(settings.store_timeout_ms, _PATIENCE_MS)
    return settings.model_copy(update={"store_timeout_ms": patience})
