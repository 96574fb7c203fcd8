"""The ephemeral tokens: issued, spent, expired."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulator.errors import (
    INTERNAL_ERROR,
    POLICY_VIOLATION,
    UNREGISTERED_CALLER,
    InvalidPayload,
    Refusal,
)
from emulator.lock import FieldPath, parse_mask
from emulator.messages import AUTH_TOKEN
from emulator.schema import snake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.clock import Clock

PREFIX = "auth_tokens/"
UNLIMITED = 0

_DEFAULT_LIFETIME = timedelta(minutes=30)
_DEFAULT_START_WINDOW = timedelta(seconds=60)
_MAX_LIFETIME = timedelta(hours=20)
_REMEMBERED_AFTER_EXPIRY = timedelta(hours=1)
_FORGET_EVERY = 1000

EXPIRED = "auth token has expired"
USED_UP = "Token has been used too many times"


@dataclass(kw_only=True)
class Token:
    """One ephemeral token and what is left of it."""

    name: str
    created: datetime
    expire_time: datetime
    new_session_expire_time: datetime
    uses: int
    used: int = 0
    setup: dict[str, Any] | None = None
    mask: tuple[FieldPath, ...] | None = None

    @property
    def uses_left(self) -> int | None:
        """How many sessions it still opens; None if any number."""
        return None if self.uses == UNLIMITED else self.uses - self.used


class TokenLedger:
    """Every token issued since the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._issued = 0

    def __iter__(self) -> Iterator[Token]:
        """Iterate from the oldest to the newest."""
        return iter(self._tokens.values())

    def issue(self, body: Any) -> Token:
        """Issue the token that the body of a mint request asks for."""
        request = AUTH_TOKEN(body, "auth_token")
        now = self._clock.now()
        uses = request.get("uses", 1)
        if uses < 0:
            raise InvalidPayload("uses must not be negative.", "auth_token.uses")
        token = Token(
            name=PREFIX + secrets.token_hex(32),
            created=now,
            expire_time=_moment(request, "expireTime", now, _DEFAULT_LIFETIME),
            new_session_expire_time=_moment(
                request, "newSessionExpireTime", now, _DEFAULT_START_WINDOW
            ),
            uses=uses,
            setup=request.get("bidiGenerateContentSetup"),
            mask=parse_mask(request["fieldMask"]) if request.get("fieldMask") else None,
        )
        self._tokens[token.name] = token
        self._issued += 1
        if self._issued % _FORGET_EVERY == 0:
            self._forget(before=now - _REMEMBERED_AFTER_EXPIRY)
        return token

    def find(self, name: str) -> Token:
        """Return a token that has not expired."""
        token = self._tokens.get(name)
        if token is None:
            raise Refusal(POLICY_VIOLATION, UNREGISTERED_CALLER)
        if self._clock.now() >= token.expire_time:
            raise Refusal(INTERNAL_ERROR, EXPIRED)
        return token

    def spend(self, token: Token) -> None:
        """Take one use for a new session. Check and charge are one step: nothing awaits here."""
        if self._clock.now() >= token.new_session_expire_time:
            raise Refusal(INTERNAL_ERROR, EXPIRED)
        if token.uses_left == 0:
            raise Refusal(INTERNAL_ERROR, USED_UP)
        token.used += 1

    def clear(self) -> None:
        """Forget all tokens."""
        self._tokens.clear()

    def _forget(self, before: datetime) -> None:
        self._tokens = {n: t for n, t in self._tokens.items() if t.expire_time > before}


def _moment(request: dict[str, Any], name: str, now: datetime, default: timedelta) -> datetime:
    moment: datetime = request.get(name, now + default)
    field = snake(name)
    if moment <= now:
        raise InvalidPayload(f"{field} must be in the future.", f"auth_token.{field}")
    if moment - now >= _MAX_LIFETIME:
        raise InvalidPayload(
            f"{field} must be less than 20 hours in the future.", f"auth_token.{field}"
        )
    return moment
