"""Clients that prove to hold a key (RFC 9449), well or badly."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1_767_225_600
ORIGIN = "https://tokens.example"
PATH = "/api/v1/live-token"
TOKEN = "an.access.token"

_LIBRARY: Mapping[str, Any] = {
    "ES256": ECAlgorithm(ECAlgorithm.SHA256),
    "ES384": ECAlgorithm(ECAlgorithm.SHA384),
    "EdDSA": OKPAlgorithm(),
    "Ed25519": OKPAlgorithm(),
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
    "PS256": jwt.PyJWS().get_algorithm_by_name("PS256"),
}
_numbers = itertools.count()


def b64url(part: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token_hash(token: str) -> str:
    """Return what `ath` must be."""
    return b64url(hashlib.sha256(token.encode()).digest())


@cache
def rsa_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Return an RSA key, the same each time: they are slow to make."""
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def new_key(alg: str) -> Any:
    """Return a private key for an algorithm."""
    match alg:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "RS256" | "PS256":
            return rsa_key()
        case _:
            return ed25519.Ed25519PrivateKey.generate()


class Holder:
    """Holds a private key and signs whatever it is told to."""

    def __init__(self, alg: str = "ES256", key: Any = None) -> None:
        """Sign by `alg`, with a new key unless one is given."""
        self.alg = alg
        self._key = new_key(alg) if key is None else key
        self._sign = _LIBRARY[alg]

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        jwk: dict[str, Any] = self._sign.to_jwk(self._key.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        return jwk

    @property
    def private_jwk(self) -> dict[str, Any]:
        """The private key."""
        jwk: dict[str, Any] = self._sign.to_jwk(self._key, as_dict=True)
        jwk.pop("key_ops", None)
        return jwk

    @property
    def thumbprint(self) -> str:
        """The name of the key (RFC 7638)."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64url(hashlib.sha256(text.encode()).digest())

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good proof."""
        return {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk}

    def proof(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        without: str = "",
        method: str = "POST",
        path: str = PATH,
        token: str | None = TOKEN,
        **claims: Any,
    ) -> str:
        """Return a proof; `header` and `claims` replace some of a good one's, `without` drops."""
        good = {
            "jti": f"proof {next(_numbers)}",
            "htm": method,
            "htu": f"{ORIGIN}{path}",
            "iat": NOW,
            **({} if token is None else {"ath": token_hash(token)}),
        }
        parts = ({**self.header, **(header or {})}, {**good, **claims})
        return self.sign(
            *(
                json.dumps({k: v for k, v in part.items() if k != without}).encode()
                for part in parts
            )
        )

    def sign(self, header: bytes, payload: bytes) -> str:
        """Sign any bytes."""
        signed = f"{b64url(header)}.{b64url(payload)}"
        return f"{signed}.{b64url(self._sign.sign(signed.encode(), self._key))}"
