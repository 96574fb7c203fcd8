"""What an operator does to API keys and to users who may no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tokenservice.identity import key_text
from tokenservice.identity.keyring import BrokenRow
from tokenservice.identity.records import DENIALS, KEYS, ApiKey, Denial, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from serving.clock import Clock
    from tokenservice.identity.keyring import Keyring
    from tokenservice.identity.records import Record
    from tokenservice.identity.rows import Rows

DAY_MS = 86_400_000
MAX_LIFETIME_MS = 365 * DAY_MS
"""A key for longer is a key that nobody remembers."""
KEPT_MS = 30 * DAY_MS
"""For how long it can be read who ended a key or a denial, after it has ended."""


class UnknownKey(Exception):
    """There is no such key."""


class Registry:
    """Changes what a store keeps. Every method raises StoreUnavailable if it cannot.

    Each change is one row's, and atomic; who made it is kept with the row.
    """

    def __init__(self, rows: Rows, keyring: Keyring, clock: Clock) -> None:
        """Change `rows`, sealed by `keyring`."""
        self._rows, self._keyring, self._clock = rows, keyring, clock

    def pseudonym(self, subject: str) -> str:
        """Return what a subject is called where it is not to be read."""
        return self._keyring.pseudonyms.user(subject)

    async def create_key(
        self,
        owner: str,
        *,
        tier: str = "",
        operator: bool = False,
        label: str = "",
        lifetime_ms: int,
        actor: str,
    ) -> tuple[str, ApiKey]:
        """Make a key that stands for `owner`; return its text, which nobody can read again.

        Raises:
            ValueError: The lifetime is none, or more than a year.
            TooManyRows: There are as many keys as there may be.

        """
        if not 0 < lifetime_ms <= MAX_LIFETIME_MS:
            raise ValueError(f"must be at most {MAX_LIFETIME_MS // DAY_MS}d, and more than nothing")
        await self._purge()
        text = key_text.new_text()
        now = self._clock()
        key = ApiKey(
            id=key_text.id_named(text) or "",
            digest=self._keyring.digest(text),
            owner=owner,
            tier=tier,
            operator=operator,
            label=label,
            created_at=now,
            created_by=actor,
            expires_at=now + lifetime_ms,
        )
        await self._rows.change(KEYS, key.id, None, packed(key, self._keyring))
        return text, key

    async def revoke_key(self, key_id: str, *, actor: str) -> ApiKey:
        """Revoke a key, once and for all; return it as it now is.

        Raises:
            UnknownKey: There is none of that id.

        """
        while True:
            before = (await self._rows.read()).keys.get(key_id)
            if before is None:
                raise UnknownKey
            key = unpacked(ApiKey, key_id, before, self._keyring)
            if key.revoked_at is not None:
                return key
            revoked = replace(key, revoked_at=self._clock(), revoked_by=actor)
            if await self._rows.change(KEYS, key_id, before, packed(revoked, self._keyring)):
                return revoked

    async def keys(self) -> list[ApiKey]:
        """Return all keys, those that end last first."""
        rows = (await self._rows.read()).keys
        return sorted(self._read(ApiKey, rows), key=lambda key: (-key.expires_at, key.id))

    async def deny(
        self, subject: str, *, reason: str, actor: str, lasting_ms: int | None = None
    ) -> Denial:
        """Let a user no longer, or not for a time, whatever was before."""
        await self._purge()
        now = self._clock()
        denial = Denial(
            user=self.pseudonym(subject),
            reason=reason,
            denied_at=now,
            denied_by=actor,
            until=None if lasting_ms is None else now + lasting_ms,
        )
        while True:
            before = (await self._rows.read()).denials.get(denial.user)
            if await self._rows.change(DENIALS, denial.user, before, packed(denial, self._keyring)):
                return denial

    async def allow(self, subject: str, *, actor: str) -> bool:
        """Let a user again; return whether it was denied."""
        user = self.pseudonym(subject)
        while True:
            before = (await self._rows.read()).denials.get(user)
            if before is None:
                return False
            try:
                denial = unpacked(Denial, user, before, self._keyring)
            except BrokenRow:  # denies all the same: see Directory
                after = None
            else:
                if not denial.holds(now := self._clock()):
                    return False
                after = packed(replace(denial, lifted_at=now, lifted_by=actor), self._keyring)
            if await self._rows.change(DENIALS, user, before, after):
                return True

    async def denials(self) -> list[Denial]:
        """Return all denials, those that were lifted or have ended too, the newest first."""
        rows = (await self._rows.read()).denials
        return sorted(self._read(Denial, rows), key=lambda denial: (-denial.denied_at, denial.user))

    async def _purge(self) -> None:
        """Forget what has long ended."""
        content = await self._rows.read()
        await self._purge_of(ApiKey, content.keys)
        await self._purge_of(Denial, content.denials)

    async def _purge_of(self, kind: type[Record], rows: Mapping[str, bytes]) -> None:
        for record in self._read(kind, rows):
            ended = record.ended_at
            if ended is not None and ended + KEPT_MS <= self._clock():
                await self._rows.change(kind.table, record.name, rows[record.name], None)

    def _read(self, kind: type[Record], rows: Mapping[str, bytes]) -> Iterator[Record]:
        for name, sealed in rows.items():
            try:
                yield unpacked(kind, name, sealed, self._keyring)
            except BrokenRow:  # lets nobody in, and the directory says so
                continue
