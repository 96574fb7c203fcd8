"""From a call to a principal. Nothing behind this ever sees the credentials."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.identity.authorization import Scheme, parse_authorization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenservice.call import Call
    from tokenservice.identity.bearer import VerifiedBearer
    from tokenservice.identity.services import Services
    from tokenservice.principal import Principal


class Possession(StrEnum):
    """What is made of proofs of possession."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Bearers(Protocol):
    """Knows bearer tokens."""

    async def verify(self, unverified_token: str) -> VerifiedBearer:
        """Return whose a token is, or raise Unauthenticated."""
        ...


class ApiKeys(Protocol):
    """Knows API keys."""

    def principal_of(self, unverified_key: str) -> Principal:
        """Return whose a key is, or raise Unauthenticated."""
        ...


class Proofs(Protocol):
    """Knows proofs of possession."""

    async def verify(
        self, proofs: Sequence[str], token: str | None, *, method: str, path: str
    ) -> str:
        """Return the thumbprint of the key that made a proof, or raise Unauthenticated."""
        ...


class Authenticator:
    """Judges one credential of a call: its API key, else its token, else its certificate.

    A bad API key is refused even if the token beside it is good.
    """

    def __init__(
        self,
        *,
        bearers: Bearers,
        api_keys: ApiKeys | None,
        services: Services,
        proofs: Proofs | None,
        possession: Possession,
    ) -> None:
        """Judge each kind by who knows it; without `api_keys`, none is good."""
        self._bearers = bearers
        self._api_keys = api_keys
        self._services = services
        self._proofs = proofs
        self._possession = possession

    async def authenticate(self, call: Call) -> Principal:
        """Return who calls.

        Raises:
            WrongCredentials: Credentials that prove nothing.
            Unauthenticated: No credentials, which is also a blank header and another
                scheme than ours, or those of another time.
            IdentityUnavailable: It cannot be told now whose they are.

        """
        credentials = call.credentials
        if credentials.api_key:
            return await self._proven(call, self._by_api_key(credentials.api_key), None)
        presented = parse_authorization(credentials.authorization)
        if presented is None:
            return self._by_certificate(call)  # its key was proven by the connection
        if presented.scheme is Scheme.DPOP and self._possession is Possession.OFF:
            raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
        verified = await self._bearers.verify(presented.unverified_token)
        principal = await self._proven(call, verified.principal, presented.unverified_token)
        bound = principal.key_thumbprint
        if presented.scheme is Scheme.DPOP and not bound:
            raise WrongCredentials("The DPoP proof is missing.")
        if verified.confirmation and self._proofs and verified.confirmation != bound:
            raise WrongCredentials("The bearer token is bound to another key.")
        return principal

    def _by_api_key(self, values: Sequence[str]) -> Principal:
        if len(values) > 1 or not values[0].strip() or self._api_keys is None:
            # Refused all the same, but one that is blank is nobody's guess.
            guessed = any(value.strip() for value in values)
            raise (WrongCredentials if guessed else Unauthenticated)("The API key is not valid.")
        return self._api_keys.principal_of(values[0])

    def _by_certificate(self, call: Call) -> Principal:
        principal = self._services.principal(call.identities)
        if principal is None:
            raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
        return principal

    async def _proven(self, call: Call, principal: Principal, token: str | None) -> Principal:
        """Return a principal with the key that the call proves possession of, if it does."""
        if self._proofs is None or self._possession is Possession.OFF:
            return principal
        if not call.credentials.dpop:
            if self._possession is Possession.REQUIRED:
                raise Unauthenticated("Send a DPoP proof.")
            return principal
        thumbprint = await self._proofs.verify(
            call.credentials.dpop, token, method=call.method, path=call.path
        )
        return replace(principal, key_thumbprint=thumbprint)
