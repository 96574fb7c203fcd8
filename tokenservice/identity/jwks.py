"""An issuer's published keys: fetched, kept while it is down, looked up again for new ones.

Not PyJWT's client: it is synchronous, fetches once for every unknown `kid`, and
refuses everybody once its cache is old and the issuer away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

import structlog

from serving.errors import Unauthenticated
from tokenservice.errors import IdentityUnavailable
from tokenservice.identity.claims import NOT_VALID, json_object
from tokenservice.identity.keys import key_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jwt

    from serving.clock import Clock
    from tokenservice.identity.keys import KeySet

log = structlog.get_logger(__name__)

FORCED_SECONDS = 10
"""No two fetches for keys that are not known are closer together."""

Fetch = Callable[[], Awaitable[bytes]]
"""Gets a JWK set; it has a time-out of its own, and any exception is a failure."""


class JwksCache:
    """The keys behind one JWKS URL. Its `watch` has to run."""

    def __init__(
        self,
        fetch: Fetch,
        algorithms: Sequence[str],
        clock: Clock,
        *,
        name: str,
        refresh_seconds: float = 300,
        stale_seconds: float = 86_400,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Fetch every `refresh_seconds`; use keys for `stale_seconds` after they were had.

        `name` is for the log.
        """
        self._fetch = fetch
        self._algorithms = algorithms
        self._clock = clock
        self._name = name
        self._refresh_seconds = refresh_seconds
        self._stale_seconds = stale_seconds
        self._sleep = sleep
        self._keys: KeySet | None = None
        self._fetched_at = clock()  # or since when they are awaited
        self._asked_at: int | None = None
        self._flight: asyncio.Task[bool] | None = None

    @property
    def age(self) -> float | None:
        """How many seconds ago the keys were had; None: never yet."""
        return None if self._keys is None else self.silent_seconds

    @property
    def silent_seconds(self) -> float:
        """For how many seconds nothing was had of the issuer."""
        return (self._clock() - self._fetched_at) / 1000

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key that a token's header names; None: the issuer has none such.

        Raises:
            IdentityUnavailable: No keys are at hand, or they are too old.
            Unauthenticated: None at hand, and whether the issuer has one could not
                be asked now. It may be new: nobody is to be called a guesser for it.

        """
        keys = self._at_hand()
        found = keys.get(kid, algorithm) if keys else None
        if found is not None:
            return found
        asked = await self._ask()
        keys = self._at_hand()
        if keys is None:
            raise IdentityUnavailable
        found = keys.get(kid, algorithm)
        if found is None and not asked:
            raise Unauthenticated(NOT_VALID) from LookupError("the key is not known by now")
        return found

    async def refresh(self) -> bool:
        """Fetch, or wait for the fetch under way; return whether keys were had."""
        if self._flight is None or self._flight.done():
            self._asked_at = self._clock()
            self._flight = asyncio.create_task(self._fetched())
        # A caller that hangs up leaves the others their answer.
        return await asyncio.shield(self._flight)

    async def watch(self) -> NoReturn:
        """Keep the keys fresh; sooner after a failure."""
        soon = min(self._refresh_seconds, FORCED_SECONDS)
        while True:
            had = await self.refresh()
            await self._sleep(self._refresh_seconds if had else soon)

    async def _ask(self) -> bool:
        under_way = self._flight is not None and not self._flight.done()
        return (under_way or self._may_ask()) and await self.refresh()

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at >= FORCED_SECONDS * 1000

    async def _fetched(self) -> bool:
        with structlog.contextvars.bound_contextvars(issuer=self._name):
            try:
                keys = key_set(json_object(await self._fetch()), self._algorithms)
            except Exception as error:  # noqa: BLE001 - of whatever kind: what is at hand stays
                log.warning("jwks_not_fetched", error=type(error).__name__)
                return False
        self._keys, self._fetched_at = keys, self._clock()
        return True

    def _at_hand(self) -> KeySet | None:
        age = self.age
        return self._keys if age is not None and age <= self._stale_seconds else None
