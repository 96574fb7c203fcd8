"""Names for users and requests that tell nothing about them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from ipaddress import IPv6Address, ip_address, ip_network

_BYTES = 12
_CREDENTIAL_BYTES = 4


class Pseudonyms:
    """Turns identifiers into keyed hashes, so that no store, log or span holds one.

    96 bits: among a million users, two share a pseudonym with odds of about 1
    in 10^17. Without the key, a guessed identifier cannot be confirmed.
    """

    def __init__(self, key: bytes) -> None:
        """Hash with `key`; replicas that share a store must share it."""
        self._key = key

    @property
    def fingerprint(self) -> bytes:
        """What tells one key from another, and nothing else of it."""
        return base64.urlsafe_b64encode(self._digest(b"key"))

    def user(self, subject: str) -> str:
        """Return a subject's pseudonym: 16 characters of base64url."""
        return base64.urlsafe_b64encode(self._digest(b"user\0" + subject.encode())).decode()

    def request(self, subject: str, request_id: str) -> bytes:
        """Return a request id's pseudonym, which differs from user to user."""
        return self._digest(b"request\0" + subject.encode() + b"\0" + request_id.encode())

    def address(self, address: str) -> str:
        """Return the pseudonym of an IP address. An IPv6 address stands for its /64.

        A /64 is what one customer has, so one machine cannot look like many.
        """
        ip = ip_address(address)
        if isinstance(ip, IPv6Address):
            ip = ip_network((ip, 64), strict=False).network_address
        return base64.urlsafe_b64encode(self._digest(b"address\0" + ip.packed)).decode()

    def credential(self, digest: bytes) -> bytes:
        """Return what tells one wrong credential from another: 4 bytes; none for no digest.

        A credential may be guessable, and its plain digest with it.
        """
        return self._digest(b"credential\0" + digest)[:_CREDENTIAL_BYTES] if digest else b""

    def _digest(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, hashlib.sha256)[:_BYTES]
