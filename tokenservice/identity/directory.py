"""Whom API keys stand for and who may no longer, as this process knows it.

A request is judged by what is in memory; the store is asked in between. So a
request waits for no store, and what changes there holds here a moment later:
after the time between two looks, and those of a look itself.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from serving.errors import Unauthenticated
from tokenservice.errors import IdentityUnavailable, SubjectDenied, WrongCredentials
from tokenservice.identity import key_text
from tokenservice.identity.keyring import BrokenRow
from tokenservice.identity.records import ApiKey, Denial, unpacked
from tokenservice.identity.rows import Content, Version
from tokenservice.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.clock import Clock
    from tokenservice.identity.keyring import Keyring
    from tokenservice.identity.records import Record
    from tokenservice.identity.rows import Rows

log = structlog.get_logger(__name__)

_NOT_VALID = "The API key is not valid."


@dataclass(frozen=True, slots=True)
class _Snapshot:
    content: Content = field(default_factory=Content)
    # None: it cannot be read. Such a key lets nobody in, such a denial denies for good.
    keys: Mapping[str, ApiKey | None] = field(default_factory=dict)
    denials: Mapping[str, Denial | None] = field(default_factory=dict)


class Directory:
    """What the store says, while it can be believed.

    Once the store has not been heard of for too long, everything is refused:
    somebody may have been revoked since.
    """

    def __init__(self, rows: Rows, keyring: Keyring, clock: Clock, *, stale_seconds: float) -> None:
        """Read `rows`; after `stale_seconds` without them, refuse."""
        self._rows, self._keyring, self._clock = rows, keyring, clock
        self._stale_ms = stale_seconds * 1000
        self._heard_at: int | None = None
        self._snapshot = _Snapshot()
        self._outlived: Mapping[str, Denial | None] = {}  # denials that the store forgot
        # What a key that is unknown is compared with: it takes the same time, and never fits.
        self._nobody = keyring.digest("")

    def is_fresh(self) -> bool:
        """Whether it may be judged by what is known."""
        return self._heard_at is not None and self._clock() - self._heard_at <= self._stale_ms

    async def refresh(self) -> None:
        """Look whether the store says something new.

        Raises:
            StoreUnavailable: It cannot be read; what was known stays, for a time.

        """
        asked_at = self._clock()  # what it says is no older than that
        known = self._snapshot.content.version
        if self._heard_at is None or await self._rows.version() != known:
            self._take(await self._rows.read())
        self._heard_at = asked_at

    def principal_of(self, text: str) -> Principal:
        """Return whom an API key stands for.

        Raises:
            WrongCredentials: It is none of ours, or was revoked.
            Unauthenticated: It has expired.
            IdentityUnavailable: Nobody knows now.

        """
        self._ensure_fresh()
        key_id = key_text.id_in(text)
        if key_id is None:
            raise _not_valid("not of the form of a key")
        key = self._snapshot.keys.get(key_id)
        digest = key.digest if key else self._nobody
        if not hmac.compare_digest(self._keyring.digest(text), digest) or key is None:
            raise _not_valid("unknown")
        if key.revoked_at is not None:
            raise _not_valid(f"{key.id} was revoked")
        if key.expires_at <= self._clock():
            raise Unauthenticated("The API key has expired.")
        return Principal(subject=key.owner, operator=key.operator, tier=key.tier)

    def check(self, subject: str) -> None:
        """Return if a subject may use the service, however it has proven itself.

        Raises:
            SubjectDenied: It may no longer.
            IdentityUnavailable: Nobody knows now.

        """
        self._ensure_fresh()
        user = self._keyring.pseudonyms.user(subject)
        denials = self._snapshot.denials
        if user not in denials:
            return
        denial = denials[user]
        if denial is None or denial.holds(self._clock()):
            raise SubjectDenied

    def _ensure_fresh(self) -> None:
        if not self.is_fresh():
            raise IdentityUnavailable

    def _take(self, content: Content) -> None:
        before = self._snapshot
        keys = self._records(ApiKey, content.keys, before.content.keys, before.keys)
        denials = self._records(Denial, content.denials, before.content.denials, before.denials)
        if _is_another(content.version, before.content.version):
            log.error(
                "store forgot",
                reason="what was in it is gone: it was flushed, or restarted without its data. "
                "API keys are to be made anew. Who was denied stays so until this process "
                "ends: deny them again",
            )
            self._outlived = before.denials
        self._snapshot = _Snapshot(content, keys, {**self._outlived, **denials})
        log.info("identities", keys=len(keys), denials=len(denials))

    def _records(
        self,
        kind: type[Record],
        rows: Mapping[str, bytes],
        rows_before: Mapping[str, bytes],
        before: Mapping[str, Record | None],
    ) -> dict[str, Record | None]:
        """Unseal the rows that are new or changed; the others are as before."""
        records: dict[str, Record | None] = {}
        broken: list[str] = []
        for name, sealed in rows.items():
            if rows_before.get(name) == sealed and name in before:
                records[name] = before[name]
                continue
            try:
                records[name] = unpacked(kind, name, sealed, self._keyring)
            except BrokenRow:
                records[name] = None
                broken.append(name)
        if broken:
            log.error("rows cannot be read", table=kind.table, count=len(broken), first=broken[0])
        return records


class NoDirectory:
    """Where no store is set: nobody has an API key, and nobody is denied."""

    def is_fresh(self) -> bool:
        """See Directory."""
        return True

    async def refresh(self) -> None:
        """See Directory."""

    def principal_of(self, text: str) -> Principal:  # noqa: ARG002 - see Directory
        """See Directory."""
        raise _not_valid("there are no API keys: TOKENSERVICE_STORE_URL is not set")

    def check(self, subject: str) -> None:
        """See Directory."""


def _is_another(version: Version, before: Version) -> bool:
    return bool(before.epoch) and version.epoch != before.epoch


def _not_valid(why: str) -> WrongCredentials:
    error = WrongCredentials(_NOT_VALID)
    error.__cause__ = ValueError(why)  # for the log alone
    return error
