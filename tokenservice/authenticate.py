"""From credentials to a Principal. Nothing else ever sees the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.identity.authorization import parse_authorization
from tokenservice.identity.claims import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenservice.identity.bearer import BearerVerifier
    from tokenservice.principal import Principal, UnverifiedCredentials


class Authenticator:
    """Verifies bearer tokens."""

    def __init__(self, bearers: BearerVerifier) -> None:
        """Verify with `bearers`."""
        self._bearers = bearers

    async def authenticate(self, credentials: UnverifiedCredentials) -> Principal:
        """Return who the caller is.

        Raises:
            WrongCredentials: Credentials that prove nothing.
            Unauthenticated: No credentials, which is also a blank header and another
                scheme than ours, or those of another time.
            IdentityUnavailable: What would verify them cannot be had.

        """
        if credentials.api_key:
            # The API key is judged, whatever the bearer; and none has been issued.
            raise _bad_api_key(credentials.api_key)
        presented = parse_authorization(credentials.authorization)
        verified = await self._bearers.verify(presented.unverified_token)
        if verified.confirmation or presented.scheme == "DPoP":
            # RFC 9449, section 7.1: not without a proof, and none is verified here.
            refuse("bound to a key that is not proven")
        return verified.principal


def _bad_api_key(values: Sequence[str]) -> Unauthenticated:
    # Refused all the same, but one that is blank is nobody's guess.
    guessed = any(value.strip() for value in values)
    return (WrongCredentials if guessed else Unauthenticated)("The API key is not valid.")
