"""From a call to a principal. Nothing behind this ever sees the credentials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from serving.errors import ServiceError, Unauthenticated
from serving.log_areas import debugging
from tokenservice.errors import WrongCredentials
from tokenservice.identity.authorization import parse_authorization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenservice.call import Call
    from tokenservice.identity.authorization import PresentedToken
    from tokenservice.identity.bearer import VerifiedBearer
    from tokenservice.identity.possession import Possession
    from tokenservice.identity.services import Services
    from tokenservice.principal import Principal


log = structlog.get_logger(__name__)


class Bearers(Protocol):
    """Knows bearer tokens."""

    async def verify(self, unverified_token: str) -> VerifiedBearer:
        """Return whom a token proves, or raise Unauthenticated."""
        ...


class ApiKeys(Protocol):
    """Knows API keys."""

    def principal_of(self, text: str) -> Principal:
        """Return whom a key stands for, or raise Unauthenticated."""
        ...


class Authenticator:
    """Judges one credential of a call: its API key, else its token, else its certificate.

    A bad API key is refused even if the token beside it is good.
    """

    def __init__(
        self, bearers: Bearers, api_keys: ApiKeys, services: Services, possession: Possession
    ) -> None:
        """Judge each kind by who knows it, and ask for proofs as `possession` has it."""
        self._bearers = bearers
        self._api_keys = api_keys
        self._services = services
        self._possession = possession

    async def authenticate(self, call: Call) -> Principal:
        """Return who calls.

        Raises:
            WrongCredentials: Credentials that prove nothing.
            BadProof: They are good, but not for who does not hold the key.
            Unauthenticated: No credentials, which is also a blank header and another
                scheme than ours, or those of another time.
            IdentityUnavailable: It cannot be told now whose they are.

        """
        try:
            principal = await self._proven(call)
        except ServiceError as error:
            if debugging(__name__):
                told = type(error).__name__
                log.debug(
                    "not authenticated", sent=call.credentials.kinds, error=told, why=_why(error)
                )
            raise
        if debugging(__name__):
            log.debug(
                "authenticated",
                sent=call.credentials.kinds,
                credential=principal.credential,
                holds_key=bool(principal.key_thumbprint),
                tier=principal.tier,
                operator=principal.operator,
            )
        return principal

    async def _proven(self, call: Call) -> Principal:
        credentials = call.credentials
        if credentials.api_key:
            by_key = self._by_api_key(credentials.api_key)
            return await self._holding_a_key(by_key, call, None)
        if not credentials.authorization:
            service = self._services.principal(call.identities)
            if service is not None:  # the connection proved that it holds its key
                return service
        presented = parse_authorization(credentials.authorization)
        verified = await self._bearers.verify(presented.unverified_token)
        return await self._holding_a_key(verified.principal, call, presented, verified.confirmation)

    def _by_api_key(self, values: Sequence[str]) -> Principal:
        if len(values) == 1 and values[0].strip():
            return replace(self._api_keys.principal_of(values[0].strip()), credential="api_key")
        # Refused all the same, but one that is blank is nobody's guess.
        guessed = any(value.strip() for value in values)
        raise (WrongCredentials if guessed else Unauthenticated)("The API key is not valid.")

    async def _holding_a_key(
        self,
        principal: Principal,
        call: Call,
        token: PresentedToken | None,
        confirmation: str = "",
    ) -> Principal:
        thumbprint = await self._possession.key(
            call.credentials.dpop, token, confirmation, method=call.method, path=call.path
        )
        return replace(principal, key_thumbprint=thumbprint)


def _why(error: ServiceError) -> str:
    """Return why credentials prove nothing, in words of ours: a library's may repeat them."""
    cause = error.__cause__
    if cause is None:
        return error.message
    kind = type(cause)
    return str(cause) if kind in {ValueError, LookupError} else f"{kind.__module__}.{kind.__name__}"
