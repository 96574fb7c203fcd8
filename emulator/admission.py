"""Who may open a live session, and with which setup."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.errors import (
    INVALID_API_KEY,
    INVALID_FRAME,
    POLICY_VIOLATION,
    UNREGISTERED_CALLER,
    Refusal,
)
from emulator.lock import setup_in_force
from emulator.models import check_setup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.resumption import Handles
    from emulator.tokens import Token, TokenLedger


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a client presented when it connected."""

    token: str | None
    api_key: str | None

    @classmethod
    def read(cls, headers: Mapping[str, str], query: Mapping[str, str]) -> Credentials:
        """Find the credentials in the headers and the query, as the SDKs send them."""
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        return cls(
            token=query.get("access_token") or (value if scheme.lower() == "token" else None),
            api_key=headers.get("x-goog-api-key") or query.get("key"),
        )


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A session that may start."""

    session: str
    setup: dict[str, Any]
    token: Token | None
    resumed: bool


@dataclass(frozen=True, kw_only=True)
class Door:
    """Admits or refuses sessions. No method awaits: two connections never share a use."""

    api_key: str
    tokens: TokenLedger
    handles: Handles

    def admit_with_token(
        self, credentials: Credentials, client_setup: dict[str, Any], version: str
    ) -> Admission:
        """Admit a client of the constrained method; its token is spent last of all."""
        if not credentials.token:
            raise Refusal(POLICY_VIOLATION, UNREGISTERED_CALLER)
        token = self.tokens.find(credentials.token)
        setup = setup_in_force(token.setup, token.mask, client_setup)
        check_setup(setup, version)
        session = self._resumed(setup)
        if session is None:
            self.tokens.spend(token)
        return _admission(session, setup, token)

    def admit_with_key(
        self, credentials: Credentials, client_setup: dict[str, Any], version: str
    ) -> Admission:
        """Admit a client of the plain method, which takes an API key and locks nothing."""
        if not credentials.api_key:
            raise Refusal(POLICY_VIOLATION, UNREGISTERED_CALLER)
        if not secrets.compare_digest(credentials.api_key.encode(), self.api_key.encode()):
            raise Refusal(INVALID_FRAME, INVALID_API_KEY)
        check_setup(client_setup, version)
        return _admission(self._resumed(client_setup), client_setup, None)

    def _resumed(self, setup: dict[str, Any]) -> str | None:
        handle = setup.get("sessionResumption", {}).get("handle")
        return self.handles.resume(handle) if handle else None


def _admission(session: str | None, setup: dict[str, Any], token: Token | None) -> Admission:
    return Admission(
        session=session or secrets.token_hex(8),
        setup=setup,
        token=token,
        resumed=session is not None,
    )
