"""From credentials to a Principal. Nothing else ever sees the credentials."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import jwt

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.clock import Clock
    from tokenservice.principal import UnverifiedCredentials

MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2: no shorter than the hash
_MAX_TOKEN_CHARS = 8 * 1024
_MAX_SUBJECT_CHARS = 128
_LEEWAY_S = 30
_MAX_TIME_S = 253_402_300_799  # the year 9999: beyond it a time is a mistake
_NOT_VALID = "The bearer token is not valid."
_TIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PRESENTED = re.compile(r"\s*bearer\s+\S", re.IGNORECASE)
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750


class Authenticator:
    """Verifies HS256 JWTs under one secret.

    PyJWT is lenient where it must not matter: it takes an `exp` of 400 digits or
    in a string, an empty `sub`, and the last of two `sub`s. So the claims are
    read strictly here, after it has verified the signature.
    """

    def __init__(
        self,
        secret: bytes,
        clock: Clock,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        tier_claim: str = "tier",
    ) -> None:
        """Verify under `secret`; require `iss` and `aud` where they are given."""
        self._key = jwt.PyJWK.from_dict(
            {"kty": "oct", "k": jwt.utils.base64url_encode(secret).decode(), "alg": "HS256"}
        )
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._tier_claim = tier_claim

    def authenticate(self, credentials: UnverifiedCredentials) -> Principal:
        """Return who the caller is.

        Raises:
            WrongCredentials: Credentials that prove nothing.
            Unauthenticated: No credentials, which is also a blank header and another
                scheme than ours, or those of another time.

        """
        if credentials.api_key:
            # The API key is judged, whatever the bearer; and none has been issued.
            raise _bad_api_key(credentials.api_key)
        if not any(_PRESENTED.match(value) for value in credentials.authorization):
            raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
        if len(credentials.authorization) > 1:
            _refuse("more than one Authorization header")
        match = _BEARER.fullmatch(credentials.authorization[0].strip(" "))
        if match is None or len(match[1]) > _MAX_TOKEN_CHARS:
            _refuse("not a bearer token")
        return self._principal(self._verified_claims(match[1]))

    def _verified_claims(self, unverified_token: str) -> Mapping[str, Any]:
        try:
            payload = jwt.PyJWS().decode(unverified_token, self._key, algorithms=["HS256"])
            claims = json.loads(payload, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise _invalid() from error
        if not isinstance(claims, dict):
            _refuse("claims are not an object")
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        now = self._clock() / 1000
        if _time(claims, "exp", required=True) <= now - _LEEWAY_S:
            raise Unauthenticated("The bearer token has expired.")
        for name in ("nbf", "iat"):
            if _time(claims, name, required=False) > now + _LEEWAY_S:
                raise Unauthenticated(_NOT_VALID) from ValueError(f"{name} is in the future")
        if self._issuer is not None and claims.get("iss") != self._issuer:
            _refuse("wrong issuer")
        if self._audience is not None and self._audience not in _audiences(claims):
            _refuse("wrong audience")
        roles = claims.get("roles", [])
        return Principal(
            subject=_subject(claims),
            operator=isinstance(roles, list) and "operator" in roles,
            tier=_tier(claims.get(self._tier_claim)),
        )


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if "sub" not in claims:
        # The form of an older issuer, which also signed refresh tokens.
        if claims.get("type") != "access":
            _refuse("no sub, and not an access token of the older form")
        subject = claims.get("userId")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARS:
        _refuse("no usable subject")
    if not subject.isprintable():
        _refuse("the subject has unprintable characters")
    return subject


def _tier(value: Any) -> str:
    """Return the tier; what is none is the default, for tiers are no matter of access."""
    return value if isinstance(value, str) and _TIER.fullmatch(value) else ""


def _time(claims: Mapping[str, Any], name: str, *, required: bool) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"{name} is not a number")
    if not 0 <= value <= _MAX_TIME_S:
        _refuse(f"{name} is out of range")
    return float(value)


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    claims = dict(pairs)
    if len(claims) != len(pairs):
        raise ValueError("a claim stands twice")
    return claims


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bad_api_key(values: Sequence[str]) -> Unauthenticated:
    # Refused all the same, but one that is blank is nobody's guess.
    guessed = any(value.strip() for value in values)
    return (WrongCredentials if guessed else Unauthenticated)("The API key is not valid.")


def _invalid() -> WrongCredentials:
    return WrongCredentials(_NOT_VALID)


def _refuse(why: str) -> NoReturn:
    # The caller learns that it failed; why is for the log.
    raise _invalid() from ValueError(why)
