"""Proofs that a caller holds a key: DPoP (RFC 9449).

A proof is a JWT that carries its own public key, so it says nothing of who
calls: it binds what a caller may to a key that only the caller has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any

from jwt.utils import base64url_decode, base64url_encode

from tokenservice.errors import BadProof
from tokenservice.identity.claims import json_object
from tokenservice.identity.origins import Origins
from tokenservice.identity.proof_key import ProofKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.clock import Clock
    from tokenservice.identity.replays import Replays

_MAX_PROOF_CHARS = 8 * 1024
_MAX_ID_CHARS = 128
_OLD_S = 60
_AHEAD_S = 5
_KEPT_MS = (_OLD_S + 2 * _AHEAD_S) * 1000
"""For how long a proof is known. By one clock it is good for no longer than from
`_AHEAD_S` before its time to `_OLD_S` after; replicas' clocks may be as far apart again."""
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class ProofVerifier:
    """Checks proofs as RFC 9449, section 4.3, has it."""

    def __init__(self, replays: Replays, clock: Clock, *, origins: tuple[str, ...]) -> None:
        """Take proofs for URLs at `origins`, each proof once.

        Raises:
            ValueError: An origin that is none.

        """
        self._replays = replays
        self._clock = clock
        self._origins = Origins(origins)

    async def verify(
        self, proofs: tuple[str, ...], token: str | None, *, method: str, path: str
    ) -> str:
        """Return the thumbprint (RFC 7638) of the key that signed the one proof of a request.

        `token` is the access token that came with it, and must have been verified
        before: anybody can sign proofs, and each that is good is remembered for a
        while. None: there was none, but an API key.

        Raises:
            BadProof: It proves nothing for this request.
            IdentityUnavailable: Nobody can tell whether it was used before.

        """
        try:
            key, claims = _opened(proofs)
            self._check(claims, token, method, path)
            proof_id = _id(claims)
        except ValueError as error:
            raise BadProof from error
        name = hashlib.sha256(f"{key.thumbprint}\0{proof_id}".encode()).digest()
        if not await self._replays.first(name, _KEPT_MS):
            raise BadProof from ValueError("the proof was used before")
        return key.thumbprint

    def _check(self, claims: Mapping[str, Any], token: str | None, method: str, path: str) -> None:
        if claims.get("htm") != method:
            raise ValueError("the proof is for another method")
        url = claims.get("htu")
        if not isinstance(url, str) or not self._origins.has(url, path):
            raise ValueError("the proof is for another URL")
        self._check_times(claims)
        if token is None:
            if "ath" in claims:
                raise ValueError("the proof is for an access token, and there is none")
            return
        digest = base64url_encode(hashlib.sha256(token.encode()).digest()).decode()
        if claims.get("ath") != digest:
            raise ValueError("the proof is for another access token")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock() / 1000
        if not now - _OLD_S <= _time(claims, "iat") <= now + _AHEAD_S:
            raise ValueError("the proof is of another time")
        # Not asked for by RFC 9449, but they mean what they say (RFC 7519, section 4.1).
        if "exp" in claims and _time(claims, "exp") <= now:
            raise ValueError("the proof has expired")
        if "nbf" in claims and _time(claims, "nbf") > now + _AHEAD_S:
            raise ValueError("the proof is not valid yet")


def matches(confirmation: str, thumbprint: str) -> bool:
    """Return whether an access token's `cnf.jkt` is the key of that thumbprint."""
    return hmac.compare_digest(confirmation.encode(), thumbprint.encode())


def _opened(proofs: tuple[str, ...]) -> tuple[ProofKey, Mapping[str, Any]]:
    """Return a proof's key, and its claims, which that key signed."""
    if len(proofs) != 1:
        raise ValueError("not one proof")
    proof = proofs[0]
    compact = _COMPACT.fullmatch(proof) if len(proof) <= _MAX_PROOF_CHARS else None
    if compact is None:
        raise ValueError("not a proof")
    header = json_object(base64url_decode(compact[1]))
    if header.get("typ") != "dpop+jwt":
        raise ValueError("another type than dpop+jwt")
    if "crit" in header or "b64" in header:
        raise ValueError("an extension that we do not have")  # RFC 7515, section 4.1.11
    # Where else the header says to find a key (kid, jku, x5u, x5c) is not looked at.
    key = ProofKey.of(header.get("alg"), header.get("jwk"))
    return key, json_object(key.verify(proof))


def _id(claims: Mapping[str, Any]) -> str:
    proof_id = claims.get("jti")
    if not isinstance(proof_id, str) or not 0 < len(proof_id) <= _MAX_ID_CHARS:
        raise ValueError("no usable jti")
    if not proof_id.isprintable():
        raise ValueError("the jti has unprintable characters")
    return proof_id


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")  # noqa: TRY004 - theirs, not the caller's
    return value
