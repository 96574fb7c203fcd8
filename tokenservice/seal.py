"""Sealed results: what policy keeps for a repeat of the request, and cannot read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokenservice.token import EphemeralToken, Lifetime

KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D


class BrokenSeal(Exception):
    """The bytes were not sealed under this key for this request."""


@dataclass(frozen=True, slots=True)
class Minted:
    """A token and when it ends."""

    token: EphemeralToken
    lifetime: Lifetime


class Sealer:
    """AES-256-GCM under a key that only this service has.

    Bound to the user, the request, and the key that the user proved to hold: a
    sealed token moved to another user's record, or to another request, does not
    open, nor does it for somebody with another key, or without one.
    """

    def __init__(self, key: bytes) -> None:
        """Seal under `key`, 32 bytes, the same on all replicas."""
        self._cipher = AESGCM(key)

    def seal(
        self, minted: Minted, subject: str, request_id: str, key_thumbprint: str = ""
    ) -> bytes:
        """Return what only `open` of all the same can read."""
        nonce = os.urandom(_NONCE_BYTES)
        content = {"token": minted.token.reveal(), **asdict(minted.lifetime)}
        plain = json.dumps(content).encode()
        return nonce + self._cipher.encrypt(
            nonce, plain, _binding(subject, request_id, key_thumbprint)
        )

    def open(
        self, sealed: bytes, subject: str, request_id: str, key_thumbprint: str = ""
    ) -> Minted:
        """Return what was sealed.

        Raises:
            BrokenSeal: Sealed under another key, for another request or holder, or damaged.

        """
        nonce, cipher = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            binding = _binding(subject, request_id, key_thumbprint)
            plain = self._cipher.decrypt(nonce, cipher, binding)
        except (InvalidTag, ValueError) as error:
            raise BrokenSeal from error
        content = json.loads(plain)
        token = EphemeralToken(content.pop("token"))
        return Minted(token, Lifetime(**content))


def _binding(subject: str, request_id: str, key_thumbprint: str) -> bytes:
    key = [key_thumbprint] if key_thumbprint else []
    return json.dumps([subject, request_id, *key]).encode()
