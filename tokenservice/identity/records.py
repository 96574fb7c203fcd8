"""What is kept of API keys and of users who may no longer, and how it is written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tokenservice.identity.keyring import BrokenRow

if TYPE_CHECKING:
    from tokenservice.identity.keyring import Keyring

KEYS, DENIALS = "keys", "denials"
"""The tables: of keys by their ids, of denials by their users' pseudonyms."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All that is known of an API key; its text is not. Times are ms since the epoch."""

    table: ClassVar[str] = KEYS
    id: str
    digest: str = field(repr=False)
    owner: str = field(repr=False)
    """The subject that the key stands for."""
    tier: str
    operator: bool
    label: str
    created_at: int
    created_by: str
    expires_at: int
    revoked_at: int | None = None
    revoked_by: str = ""

    @property
    def name(self) -> str:
        """What its row is called."""
        return self.id

    @property
    def ended_at(self) -> int:
        """When it stopped, or will."""
        return self.expires_at if self.revoked_at is None else self.revoked_at


@dataclass(frozen=True, slots=True)
class Denial:
    """That a user may no longer. Times are ms since the epoch."""

    table: ClassVar[str] = DENIALS
    user: str
    """The pseudonym."""
    reason: str
    denied_at: int
    denied_by: str
    until: int | None
    """None: for good."""
    lifted_at: int | None = None
    lifted_by: str = ""

    @property
    def name(self) -> str:
        """What its row is called."""
        return self.user

    def holds(self, now: int) -> bool:
        """Return whether the user is denied."""
        return self.lifted_at is None and (self.until is None or now < self.until)

    @property
    def ended_at(self) -> int | None:
        """When it stopped, or will; None: never."""
        return self.until if self.lifted_at is None else self.lifted_at


Record = TypeVar("Record", bound=ApiKey | Denial)


def packed(record: ApiKey | Denial, keyring: Keyring) -> bytes:
    """Return a record as a store keeps it: sealed, for its place."""
    content = json.dumps(asdict(record)).encode()
    return keyring.seal(content, table=record.table, name=record.name)


def unpacked(kind: type[Record], name: str, sealed: bytes, keyring: Keyring) -> Record:
    """Return a record that a store kept under `name`.

    Raises:
        BrokenRow: It is not what `packed` made.

    """
    content = keyring.open(sealed, table=kind.table, name=name)
    try:
        return kind(**json.loads(content))
    except (ValueError, TypeError) as error:  # of a version to come
        raise BrokenRow from error
