"""From a bearer token to whom it proves (RFC 7519, RFC 8725)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from tokenservice.errors import WrongCredentials
from tokenservice.identity import claims
from tokenservice.identity.claims import NOT_VALID, ClaimRules, json_object, refuse
from tokenservice.identity.keys import MAX_KID_CHARS, OneKey, secret_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.clock import Clock
    from tokenservice.identity.keys import Keys
    from tokenservice.principal import Principal

_PART = re.compile(r"[A-Za-z0-9_-]+")
_PARTS = 3
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})  # RFC 9068
_NOT_FOLLOWED = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c"})


@dataclass(frozen=True, slots=True)
class VerifiedBearer:
    """Whom a token proves."""

    principal: Principal
    confirmation: str = field(default="", repr=False)
    """The thumbprint of the only key whose holder may present it; empty: of any."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One who may say who calls: by which keys, and how its claims are read."""

    keys: Keys
    algorithms: Sequence[str]
    rules: ClaimRules


def simple_issuer(
    secret: bytes,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    tier_claim: str = "tier",
    foreign_namespaces: tuple[str, ...] = (),
) -> TrustedIssuer:
    """Return the issuer of HS256 tokens under one secret, whose `iss` may be anything."""
    rules = ClaimRules(
        issuer=issuer,
        audiences=() if audience is None else (audience,),
        older_subject=True,
        tier=(tier_claim,),
        foreign_namespaces=foreign_namespaces,
    )
    return TrustedIssuer(OneKey(secret_key(secret)), ("HS256",), rules)


class BearerVerifier:
    """Verifies JWTs of several issuers.

    Until the signature is verified, a token only chooses: its `iss` one of the
    issuers, its `kid` one of that issuer's keys, its `alg` one of what both allow.
    """

    def __init__(
        self,
        issuers: Mapping[str, TrustedIssuer],
        clock: Clock,
        *,
        simple: TrustedIssuer | None = None,
    ) -> None:
        """Trust `issuers`, by their `iss`, and `simple` with every other."""
        self._issuers = issuers
        self._simple = simple
        self._clock = clock
        self._jws = jwt.PyJWS()

    async def verify(self, unverified_token: str) -> VerifiedBearer:
        """Return whom a token proves.

        Raises:
            WrongCredentials: It proves nothing.
            Unauthenticated: It is of another time, or of a key not known by now.
            IdentityUnavailable: The keys of its issuer cannot be had.

        """
        unverified_header, unverified_issuer = _parts(unverified_token)
        issuer = self._issuers.get(unverified_issuer or "", self._simple)
        if issuer is None:
            refuse("no issuer that is trusted")
        algorithm = unverified_header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            refuse("an algorithm that the issuer does not use")
        key = await issuer.keys.find(unverified_header.get("kid"), algorithm)
        if key is None:
            refuse("no such key")
        verified = self._verified(unverified_token, key, algorithm)
        return VerifiedBearer(
            claims.principal(verified, issuer.rules, self._clock() / 1000),
            claims.confirmation(verified),
        )

    def _verified(self, unverified_token: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any]:
        try:
            return json_object(self._jws.decode(unverified_token, key, algorithms=[algorithm]))
        except (jwt.PyJWTError, ValueError) as error:
            raise WrongCredentials(NOT_VALID) from error


def _parts(unverified_token: str) -> tuple[Mapping[str, Any], str | None]:
    """Return the header and the `iss` of a JWS in its compact form (RFC 7515, section 3.1)."""
    parts = unverified_token.split(".")
    if len(parts) != _PARTS or not all(_PART.fullmatch(part) for part in parts):
        refuse("not a signed JWT")
    try:
        header, body = (json_object(jwt.utils.base64url_decode(part)) for part in parts[:2])
    except ValueError as error:
        raise WrongCredentials(NOT_VALID) from error
    if _NOT_FOLLOWED & set(header):
        refuse("a header that brings keys or conditions of its own")
    kid, kind = header.get("kid", ""), header.get("typ", "JWT")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
        refuse("no usable kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        refuse("a JWT for another purpose")
    issuer = body.get("iss")
    return header, issuer if isinstance(issuer, str) else None
