"""An OpenID Connect issuer that signs what it is told to, and publishes its keys."""

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = 1_767_225_600
ISSUER = "https://issuer.example"
AUDIENCE = "live-token"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": NOW, "exp": NOW + 300}
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def encoded(part: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def jws(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    """Sign a header and a payload as they are, JSON or bytes, however senseless."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload)]
    signed = ".".join(encoded(part) for part in parts)
    return f"{signed}.{encoded(sign(signed.encode()))}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    """Return what signs with a secret."""
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


@dataclass(frozen=True)
class SigningKey:
    """A key pair with its name and algorithm."""

    private: Any = field(repr=False)
    algorithm: str
    kid: str

    @property
    def public_pem(self) -> bytes:
        """The public key, in the form that forgers take for a secret."""
        public = self.private.public_key()
        return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public key as it is published; a member of None is left out."""
        made = self._algorithm.to_jwk(self.private.public_key(), as_dict=True)
        made |= {"kid": self.kid, "alg": self.algorithm, "use": "sig"} | members
        return {name: value for name, value in made.items() if value is not None}

    def private_jwk(self) -> dict[str, Any]:
        """Return the whole key, as it should never be published."""
        return {**self._algorithm.to_jwk(self.private, as_dict=True), "kid": self.kid}

    def sign(self, message: bytes) -> bytes:
        """Sign."""
        return bytes(self._algorithm.sign(message, self.private))

    def token(self, claims: Any = CLAIMS, **header: Any) -> str:
        """Return a token with these claims; a header of None is left out."""
        whole = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | header
        return jws({k: v for k, v in whole.items() if v is not None}, claims, self.sign)

    @property
    def _algorithm(self) -> Any:
        return jwt.PyJWS().get_algorithm_by_name(self.algorithm)


@functools.cache
def signing_key(algorithm: str, kid: str, bits: int = 2048) -> SigningKey:
    """Return the key of this name, the same each time."""
    private: Any
    if algorithm in _CURVES:
        private = ec.generate_private_key(_CURVES[algorithm])
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return SigningKey(private, algorithm, kid)


def jwks(*keys: SigningKey) -> dict[str, Any]:
    """Return a set of public keys."""
    return {"keys": [key.jwk() for key in keys]}


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.json_response({})


class Published:
    """A JWKS endpoint: what it answers can be exchanged, and visits are counted."""

    def __init__(self) -> None:
        """Publish nothing yet."""
        self.url = ""
        self.visits = 0
        self.answer: Answer = _nothing

    def keys(self, *keys: SigningKey) -> None:
        """Publish these keys from now on."""
        self.status(200, json.dumps(jwks(*keys)).encode())

    def status(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=headers)

        self.answer = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever is asked."""
        self.visits += 1
        return await self.answer(request)


@asynccontextmanager
async def published(ssl: Any = None) -> AsyncIterator[Published]:
    """Run an endpoint on loopback."""
    endpoint = Published()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
        await site.start()
        _, port = runner.addresses[0][:2]
        endpoint.url = f"http{'s' if ssl else ''}://127.0.0.1:{port}/jwks"
        yield endpoint
    finally:
        await runner.cleanup()
