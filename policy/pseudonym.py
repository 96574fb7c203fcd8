"""Names for users and requests that tell nothing about them."""

from __future__ import annotations

import base64
import hashlib
import hmac

_BYTES = 12


class Pseudonyms:
    """Turns identifiers into keyed hashes, so that no store, log or span holds one.

    96 bits: among a million users, two share a pseudonym with odds of about 1
    in 10^17. Without the key, a guessed identifier cannot be confirmed.
    """

    def __init__(self, key: bytes) -> None:
        """Hash with `key`; replicas that share a store must share it."""
        self._key = key

    def user(self, subject: str) -> str:
        """Return a subject's pseudonym: 16 characters of base64url."""
        return base64.urlsafe_b64encode(self._digest(b"user\0" + subject.encode())).decode()

    def request(self, subject: str, request_id: str) -> bytes:
        """Return a request id's pseudonym, which differs from user to user."""
        return self._digest(b"request\0" + subject.encode() + b"\0" + request_id.encode())

    def _digest(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, hashlib.sha256)[:_BYTES]
