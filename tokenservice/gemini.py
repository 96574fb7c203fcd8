"""Gemini, through google-genai: mints tokens, and tells whether it could.

One client and one aiohttp session live as long as the process. Retries are
ours, within the caller's deadline; the SDK's are off, because it would sleep
past any deadline. All that can go wrong below is translated here, once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
from google import genai
from google.genai import errors as genai_errors, types

from serving.errors import Unavailable
from serving.logs import redact
from tokenservice import upstream_calls
from tokenservice.errors import UpstreamMisconfigured, UpstreamUnavailable
from tokenservice.token import EphemeralToken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from serving.errors import ServiceError
    from serving.recent import Timing
    from tokenservice.deadline import Deadline
    from tokenservice.grant import Grant
    from tokenservice.token import Lifetime
    from tokenservice.upstream_calls import Attempt

T = TypeVar("T")

log = structlog.get_logger(__name__)

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_MAX_TOKEN_CHARS = 4096
_GOOGLE = "generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True)
class GeminiOptions:
    """How to reach Gemini, and how long to try."""

    api_key: str = field(repr=False)
    api_version: str = "v1beta"
    base_url: str | None = None
    attempts: int = 2
    attempt_timeout: float = 4.0
    """Seconds for one attempt, within what the deadline leaves."""
    backoff: float = 0.1
    """Seconds before a second attempt, on average, unless Gemini names some."""


@asynccontextmanager
async def gemini_client(options: GeminiOptions) -> AsyncIterator[genai.Client]:
    """Open the one client of the process, and the session under it."""
    session = aiohttp.ClientSession(
        trust_env=False,
        connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=30),
    )
    async with session:
        yield genai.Client(
            api_key=options.api_key,
            vertexai=False,  # Vertex AI has no such tokens; the environment may ask for it
            http_options=types.HttpOptions(
                base_url=options.base_url,
                api_version=options.api_version,
                aiohttp_client=session,
                timeout=round(options.attempt_timeout * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )


class GeminiMinter:
    """Mints through `client`, retrying what may pass while the deadline allows."""

    def __init__(
        self,
        client: genai.Client,
        options: GeminiOptions,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timing: Timing = nullcontext,
    ) -> None:
        """Mint as `options` say; wait between attempts with `sleep`; measure each."""
        self._client = client
        self._options = options
        self._sleep = sleep
        self._timing = timing
        self._server = urlsplit(options.base_url or "").hostname or _GOOGLE

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """Return a token that is good for one session of `grant`.

        Raises:
            UpstreamMisconfigured: Gemini refuses for our fault.
            UpstreamUnavailable: Gemini is away, slow, over quota, or talks nonsense.

        """
        ambiguous = False
        for attempt in range(1, self._options.attempts + 1):
            try:
                return await self._mint_once(grant, lifetime, deadline, attempt)
            except (UpstreamMisconfigured, UpstreamUnavailable) as error:
                # A plain refusal does not undo what an earlier attempt may have made.
                ambiguous = error.ambiguous = ambiguous or error.ambiguous
                if isinstance(error, UpstreamMisconfigured):
                    raise
                wait = error.retry_after or self._options.backoff * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                last = attempt == self._options.attempts
                if last or wait + self._options.backoff > deadline.remaining:
                    error.retry_after = error.retry_after or Unavailable.retry_after
                    raise
                await self._sleep(wait)
        raise AssertionError("attempts is at least 1")

    async def check(self, timeout_s: float) -> None:
        """Ask something that costs nothing but needs the key to be good.

        Raises:
            UpstreamMisconfigured: As `mint`.
            UpstreamUnavailable: As `mint`.

        """
        config = types.ListModelsConfig(page_size=1)
        operation = upstream_calls.LIST_MODELS
        with upstream_calls.attempted(operation, server=self._server) as attempt:
            await _translated(self._client.aio.models.list(config=config), timeout_s, attempt)

    async def _mint_once(
        self, grant: Grant, lifetime: Lifetime, deadline: Deadline, number: int
    ) -> EphemeralToken:
        with (
            self._timing(),
            upstream_calls.attempted(
                upstream_calls.CREATE_AUTH_TOKEN,
                server=self._server,
                model=grant.model.name,
                resends=number - 1,
            ) as attempt,
        ):
            timeout_s = min(self._options.attempt_timeout, deadline.remaining)
            config = _request(grant, lifetime, attempt.headers, timeout_s)
            answer = await _translated(
                self._client.aio.auth_tokens.create(config=config), timeout_s, attempt
            )
            return _token(answer.name, attempt)


def _request(
    grant: Grant, lifetime: Lifetime, headers: dict[str, str], timeout_s: float
) -> types.CreateAuthTokenConfig:
    return types.CreateAuthTokenConfig(
        uses=1,
        expire_time=_utc(lifetime.expires_at),
        new_session_expire_time=_utc(lifetime.session_start_until),
        # The setup is passed as it goes on the wire: converting it from the SDK's
        # types for every token would cost more than all the rest of the call.
        http_options=types.HttpOptions(
            headers=headers,
            timeout=max(1, round(timeout_s * 1000)),
            extra_body={"bidiGenerateContentSetup": dict(grant.setup)},
        ),
    )


async def _translated(call: Awaitable[T], timeout_s: float, attempt: Attempt) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            answer = await call
    except genai_errors.APIError as error:
        attempt.failed(str(error.code), error.code)
        outcome = _outcome(error)
        log.warning(
            "gemini refused",
            reason=outcome.reason,
            status=error.code,
            gemini_status=error.status,
            gemini_message=redact(str(error.message)[:500]),
        )
        raise outcome from error
    except Exception as error:
        # Whatever the SDK lets through: aiohttp's errors, TimeoutError, and what it
        # trips over when the answer is not the JSON that it should be.
        attempt.failed("timeout" if isinstance(error, TimeoutError) else type(error).__name__)
        log.warning("gemini failed", cause=type(error).__name__)
        unsent = isinstance(error, aiohttp.ClientConnectorError)  # refused, no name, no TLS
        raise _unavailable(ambiguous=not unsent) from error
    attempt.succeeded()
    return answer


def _outcome(error: genai_errors.APIError) -> ServiceError:
    if error.code == _TOO_MANY_REQUESTS or error.code >= _SERVER_ERROR:
        return UpstreamUnavailable(retry_after=_retry_after(error))
    return UpstreamMisconfigured()


def _unavailable(*, ambiguous: bool) -> UpstreamUnavailable:
    outcome = UpstreamUnavailable()
    outcome.ambiguous = ambiguous
    return outcome


def _retry_after(error: genai_errors.APIError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None  # noqa: PLR2004 - a day


def _token(name: str | None, attempt: Attempt) -> EphemeralToken:
    if not name or not name.startswith("auth_tokens/") or len(name) > _MAX_TOKEN_CHARS:
        attempt.failed("no_token", attempt.status)
        log.warning("gemini failed", cause="no token in its answer")
        raise _unavailable(ambiguous=True)
    return EphemeralToken(name)


def _utc(millis: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(millis / 1000, tz=dt.UTC)
