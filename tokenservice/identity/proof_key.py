"""The public key that a proof of possession carries, and its name (RFC 7517, RFC 7638)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRIVATE = frozenset({"d", "dp", "dq", "k", "oth", "p", "q", "qi"})  # RFC 7518, section 6
_EC, _OKP, _RSA = ("crv", "kty", "x", "y"), ("crv", "kty", "x"), ("e", "kty", "n")
_MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
_MAX_RSA_BITS = 4096
_MAX_EXPONENT_CHARS = 6  # 32 bits: a long exponent makes each check as slow as signing


@dataclass(frozen=True, slots=True)
class _Kind:
    library: Any
    members: tuple[str, ...]
    """What the thumbprint is of (RFC 7638, section 3.2; RFC 8037, section 2)."""
    fixed: Mapping[str, str]


_ED25519 = _Kind(OKPAlgorithm, _OKP, {"kty": "OKP", "crv": "Ed25519"})
_KINDS: Mapping[str, _Kind] = {
    "ES256": _Kind(ECAlgorithm, _EC, {"kty": "EC", "crv": "P-256"}),
    "ES384": _Kind(ECAlgorithm, _EC, {"kty": "EC", "crv": "P-384"}),
    "EdDSA": _ED25519,
    "Ed25519": _ED25519,  # RFC 9864, which EdDSA is deprecated by
    "RS256": _Kind(RSAAlgorithm, _RSA, {"kty": "RSA"}),
    "PS256": _Kind(RSAAlgorithm, _RSA, {"kty": "RSA"}),
}

ALGORITHMS = tuple(_KINDS)
"""By which proofs may be signed: neither `none` nor a secret that we would have to know."""

_JWS = jwt.PyJWS(algorithms=[name for name in ALGORITHMS if name != "Ed25519"])
_JWS.register_algorithm("Ed25519", OKPAlgorithm())


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A public key, and the one algorithm that it is used with."""

    algorithm: str
    thumbprint: str
    """SHA-256 of the key (RFC 7638): 43 characters of base64url."""
    key: Any = field(repr=False)

    @classmethod
    def of(cls, algorithm: object, jwk: object) -> ProofKey:
        """Return the key of a proof's header.

        Raises:
            ValueError: It is none that a proof may be signed with; why, without the key.

        """
        kind = _KINDS.get(algorithm) if isinstance(algorithm, str) else None
        if kind is None:
            raise ValueError("the algorithm is none that proofs may have")
        if not isinstance(jwk, dict):
            raise ValueError("there is no key")  # noqa: TRY004 - theirs, not the caller's
        if not _PRIVATE.isdisjoint(jwk):
            raise ValueError("the key is not a public one")
        required = {name: jwk.get(name) for name in kind.members}
        if not required.items() >= kind.fixed.items():
            raise ValueError("the key is of another kind than the algorithm")
        if jwk.get("alg", algorithm) != algorithm:
            raise ValueError("the key is for another algorithm")
        key = _key(kind, required)
        return cls(str(algorithm), _thumbprint(required), key)

    def verify(self, signed: str) -> bytes:
        """Return the payload of a compact JWS that this key signed.

        Raises:
            ValueError: It did not, or it is no such thing.

        """
        try:
            payload: bytes = _JWS.decode(signed, self.key, algorithms=[self.algorithm])
        except jwt.InvalidTokenError as error:
            raise ValueError("the signature is not the key's") from error
        return payload


def _key(kind: _Kind, required: Mapping[str, Any]) -> Any:
    if not all(isinstance(value, str) for value in required.values()):
        raise ValueError("the key is not whole")
    if len(required.get("e", "")) > _MAX_EXPONENT_CHARS:
        raise ValueError("the key has a long exponent")
    try:
        key = kind.library.from_jwk(dict(required))
        written = kind.library.to_jwk(key, as_dict=True)
    except (jwt.InvalidKeyError, ValueError) as error:
        raise ValueError("the key is none") from error
    if any(written[name] != value for name, value in required.items()):
        # Or one key would have several thumbprints.
        raise ValueError("the key is not written in the one way it should be")
    if kind.library is RSAAlgorithm and not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        raise ValueError("the key is too short, or too long")
    return key


def _thumbprint(required: Mapping[str, Any]) -> str:
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return base64url_encode(hashlib.sha256(text.encode()).digest()).decode()
