"""The public keys of an issuer, each bound to the algorithms it may verify (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

log = structlog.get_logger(__name__)

ASYMMETRIC: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The `kty` and `crv` that each algorithm needs (RFC 7518, section 3.1; RFC 8037)."""
MAX_KID_CHARS = 128
_RSA_BITS = range(2048, 8192 + 1)  # RFC 7518, section 3.3; more only costs time
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, section 6


class UnusableKeys(ValueError):
    """A set without a key that could verify; the message has nothing of it."""


class Keys(Protocol):
    """Where the keys of an issuer come from."""

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key that a token's header names; None: there is none."""
        ...


class KeySet:
    """Keys by the `kid` and the algorithm in a token's header."""

    def __init__(self, keys: Iterable[jwt.PyJWK]) -> None:
        """Take keys, one for each algorithm that a key may verify."""
        self._by_kid: dict[tuple[str | None, str], jwt.PyJWK | None] = {}
        self._alone: dict[str, jwt.PyJWK | None] = {}
        for key in keys:
            _put(self._by_kid, (key.key_id, key.algorithm_name), key)
            _put(self._alone, key.algorithm_name, key)

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """See Keys."""
        return self.get(kid, algorithm)

    def get(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the only key with this `kid`, or without one the only one that fits."""
        return self._alone.get(algorithm) if kid is None else self._by_kid.get((kid, algorithm))


class OneKey:
    """A single key; a `kid` selects nothing."""

    def __init__(self, keys: KeySet) -> None:
        """Take a set of one key."""
        self._keys = keys

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:  # noqa: ARG002
        """See Keys."""
        return self._keys.get(None, algorithm)


def key_set(jwks: Mapping[str, Any], algorithms: Sequence[str]) -> KeySet:
    """Return the keys of a JWK set that may verify one of `algorithms`.

    Others are left out: those to encrypt with, too short, or not understood (RFC
    7517, section 5); and with a warning private ones, which whoever published
    them has lost.

    Raises:
        UnusableKeys: It has none.

    """
    listed = jwks.get("keys")
    if not isinstance(listed, list):
        raise UnusableKeys("has no list of keys")
    public = [each for each in listed if isinstance(each, dict) and not _PRIVATE & set(each)]
    private = sum(isinstance(each, dict) and bool(_PRIVATE & set(each)) for each in listed)
    if private:
        log.warning("jwks_private_keys", ignored=private)
    found = [key for each in public for key in _usable(each, algorithms)]
    if not found:
        raise UnusableKeys("has no public key that fits the algorithms")
    return KeySet(found)


def secret_key(secret: bytes) -> KeySet:
    """Return a set of a secret for HS256."""
    k = jwt.utils.base64url_encode(secret).decode()
    return KeySet([jwt.PyJWK.from_dict({"kty": "oct", "k": k, "alg": "HS256"})])


def _usable(jwk: Mapping[str, Any], algorithms: Sequence[str]) -> list[jwt.PyJWK]:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        return []
    if not isinstance(operations, list) or "verify" not in operations:
        return []
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID_CHARS):
        return []
    made = [_key(jwk, name) for name in algorithms if _fits(jwk, name)]
    return [key for key in made if key is not None]


def _fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    kty, crv = ASYMMETRIC[algorithm]
    if jwk.get("alg", algorithm) != algorithm or jwk.get("kty") != kty:
        return False
    return crv is None or jwk.get("crv") == crv


def _key(jwk: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(dict(jwk), algorithm)
    except Exception:  # noqa: BLE001 - one key of theirs that cannot be read spoils no other
        return None
    made = cast("object", key.key)
    return None if isinstance(made, RSAPublicKey) and made.key_size not in _RSA_BITS else key


def _put(keys: dict[Any, jwt.PyJWK | None], name: object, key: jwt.PyJWK) -> None:
    # Of two that fit, neither does: which one is meant would be a guess.
    keys[name] = None if name in keys else key
