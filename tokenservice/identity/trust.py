"""Whom we trust to say who calls, composed of the settings."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serving import metrics
from tokenservice.identity.bearer import BearerVerifier, TrustedIssuer, simple_issuer
from tokenservice.identity.issuers import CERTIFICATES, longer
from tokenservice.identity.jwks import JwksCache
from tokenservice.identity.jwks_http import fetch_from, jwks_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from serving.clock import Clock
    from tokenservice.identity.issuers import IssuerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The issuers, and a secret whose tokens may name any other or none."""

    issuers: tuple[IssuerOptions, ...] = ()
    secret: bytes | None = field(default=None, repr=False)
    required_issuer: str | None = None
    """The only `iss` under the secret; so with the next two."""
    required_audience: str | None = None
    tier_claim: str = "tier"
    refresh_seconds: float = 300
    """How often published keys are fetched."""
    stale_seconds: float = 86_400
    """How long they are used while they cannot be."""


@dataclass(frozen=True, slots=True)
class Bearers:
    """What verifies bearer tokens, and the keys behind it."""

    verifier: BearerVerifier
    published: Mapping[str, JwksCache]
    """The keys that are fetched, by issuer."""

    def ages(self) -> list[tuple[float, Mapping[str, str]]]:
        """Return for how many seconds nothing was had of each issuer whose keys are fetched."""
        return [(keys.silent_seconds, {"issuer": name}) for name, keys in self.published.items()]

    async def watch(self) -> None:
        """Keep them fresh; it ends at once if there are none."""
        async with asyncio.TaskGroup() as group:
            for cache in self.published.values():
                group.create_task(cache.watch())


@asynccontextmanager
async def open_bearers(trust: Trust, clock: Clock) -> AsyncIterator[Bearers]:
    """Compose what verifies the tokens of whom we trust; its `watch` has to run."""
    async with jwks_session() as session:
        published = {
            each.issuer: _published(each, trust, session, clock)
            for each in trust.issuers
            if each.jwks_url is not None
        }
        namespaces = [each.prefix for each in trust.issuers]
        issuers = {
            each.issuer: TrustedIssuer(
                each.fixed_keys or published[each.issuer], each.allowed, each.rules(namespaces)
            )
            for each in trust.issuers
        }
        simple = None
        if trust.secret is not None:
            simple = simple_issuer(
                trust.secret,
                issuer=trust.required_issuer,
                audience=trust.required_audience,
                tier_claim=trust.tier_claim,
                foreign_namespaces=longer(namespaces, "") + CERTIFICATES,
            )
        bearers = Bearers(BearerVerifier(issuers, clock, simple=simple), published)
        with metrics.JWKS_AGE.reading(bearers.ages):
            yield bearers


def _published(
    options: IssuerOptions, trust: Trust, session: aiohttp.ClientSession, clock: Clock
) -> JwksCache:
    return JwksCache(
        fetch_from(session, options.jwks_url or ""),
        options.allowed,
        clock,
        name=options.issuer,
        refresh_seconds=trust.refresh_seconds,
        stale_seconds=trust.stale_seconds,
    )
