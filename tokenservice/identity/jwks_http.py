"""Fetching a JWK set over HTTP, from a server that may be anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from tokenservice.identity.jwks import Fetch

MAX_BYTES = 64 * 1024
_TIMEOUT_SECONDS = 2.0
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class NoKeysAnswered(Exception):
    """An answer that is no JWK set."""


def jwks_session(timeout_seconds: float = _TIMEOUT_SECONDS) -> aiohttp.ClientSession:
    """Return a session to fetch with: no proxy of the environment's, no cookies, no bombs."""
    return aiohttp.ClientSession(
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        headers=_HEADERS,
    )


def fetch_from(session: aiohttp.ClientSession, url: str) -> Fetch:
    """Return what fetches `url`: 64 KiB at most, without redirects."""

    async def fetch() -> bytes:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - as every reader knows it
                raise NoKeysAnswered(f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise NoKeysAnswered("too long")
            return bytes(body)

    return fetch
