"""What stands in the ledger for what must not: keyed hashes, by which it can be found again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from serving.logs import redact
from serving.pseudonym import Pseudonyms

_TOKEN_BYTES = 18
_REQUEST_BYTES = 12
_PREFIX = "auth_tokens/"
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""An id that is shown as it is: a UUID, a ULID, a W3C or cloud trace id. No e-mail address."""


class Names:
    """Hashes with one key. Without it, a guessed name cannot be confirmed."""

    def __init__(self, key: bytes) -> None:
        """Hash with `key`; replicas that share a ledger, and who searches it, must share it."""
        self._key = key
        self._pseudonyms = Pseudonyms(key)

    def user(self, subject: str) -> str:
        """Return a subject's pseudonym: policy's own, if policy has the same key."""
        return self._pseudonyms.user(subject)

    def idempotency_key(self, subject: str, key: str) -> str:
        """Return the pseudonym of a user's idempotency key: policy's, likewise, in hex."""
        return self._pseudonyms.request(subject, key).hex()

    def token(self, value: str) -> str:
        """Return a token's pseudonym, with or without its `auth_tokens/`: 24 characters."""
        return self._named("ledger token", value.removeprefix(_PREFIX), _TOKEN_BYTES)

    def request(self, request_id: str, subject: str = "") -> str:
        """Return a request id: as it is, unless it may say more than an id does.

        Callers choose it, so it can be an address, a credential or their own name.
        """
        plain = _PLAIN.fullmatch(request_id) and redact(request_id) == request_id
        if not request_id or (plain and not (subject and subject in request_id)):
            return request_id
        return self.hidden_request(request_id)

    def hidden_request(self, request_id: str) -> str:
        """Return what stands for a request id that is not shown."""
        return "hmac:" + self._named("ledger request", request_id, _REQUEST_BYTES)

    def _named(self, kind: str, value: str, size: int) -> str:
        # No message of Pseudonyms begins like that, so one key serves for both.
        message = kind.encode() + b"\0" + value.encode(errors="surrogatepass")
        return base64.urlsafe_b64encode(
            hmac.digest(self._key, message, hashlib.sha256)[:size]
        ).decode()
