"""All that is derived from TOKENSERVICE_HASH_KEY: names, hashes and seals."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from serving.pseudonym import Pseudonyms

_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D


class BrokenRow(Exception):
    """The row was not sealed under this key for this place."""


class Keyring:
    """What makes a store worthless to whoever reads it, and hard to forge for who writes it.

    A subject is named by its pseudonym, an API key by a keyed hash, and what is
    known of either is sealed, bound to the row that it stands in. Each use has
    a key of its own (RFC 5869).
    """

    def __init__(self, hash_key: bytes) -> None:
        """Derive from `hash_key`, at least 32 bytes; replicas that share a store share it."""
        self.pseudonyms = Pseudonyms(hash_key)
        self._digest_key = _derived(hash_key, b"live-token api key digest")
        self._cipher = AESGCM(_derived(hash_key, b"live-token identity row"))

    @property
    def fingerprint(self) -> bytes:
        """What tells one hash key from another, and nothing else of it."""
        return self.pseudonyms.fingerprint

    def digest(self, secret: str) -> str:
        """Return the keyed hash (HMAC-SHA256) of an API key's text, in hex."""
        return hmac.digest(self._digest_key, secret.encode(), hashlib.sha256).hex()

    def seal(self, content: bytes, *, table: str, name: str) -> bytes:
        """Return what only `open` of the same key and row can read."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _place(table, name))

    def open(self, sealed: bytes, *, table: str, name: str) -> bytes:
        """Return what was sealed.

        Raises:
            BrokenRow: Sealed under another key, for another row, or damaged.

        """
        nonce, cipher = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, cipher, _place(table, name))
        except (InvalidTag, ValueError) as error:
            raise BrokenRow from error


def _derived(hash_key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=use).derive(hash_key)


def _place(table: str, name: str) -> bytes:
    return f"{table}\0{name}".encode()
