"""Who calls, once that is proven."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenservice.client_info import ClientInfo


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credentials were verified. The credentials are gone by now."""

    subject: str = field(repr=False)  # personal data: not for logs
    operator: bool = False
    tier: str = ""
    """Which limits are meant for it, by name; empty: the default ones."""
    service: bool = False
    """Whether it is a service of ours. Its subject is a name then, and no personal data."""
    key_thumbprint: str = ""
    """The key that it proved to hold (RFC 7638, of a DPoP proof); empty: none."""
    credential: str = field(default="jwt", compare=False)
    """What proved it: `jwt`, `api_key` or `certificate`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a call is, and where it comes from."""

    principal: Principal
    """Whose quota and limits count."""
    client: ClientInfo
    acting: str = ""
    """The service that calls on the principal's behalf, by its name; empty: the
    principal itself."""


@dataclass(frozen=True, slots=True)
class UnverifiedCredentials:
    """What a caller sent to prove who it is."""

    authorization: tuple[str, ...] = field(default=(), repr=False)
    api_key: tuple[str, ...] = field(default=(), repr=False)
    dpop: tuple[str, ...] = field(default=(), repr=False)
    """Proofs of possession (RFC 9449)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of them there are, by the names of their headers."""
        sent = {"x-api-key": self.api_key, "authorization": self.authorization, "dpop": self.dpop}
        return tuple(name for name, values in sent.items() if values)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of those that are judged, as they were sent. Not for logs either."""
        judged = self.api_key or self.authorization
        return hashlib.sha256("\0".join(judged).encode()).digest()  # metadata have no NUL
