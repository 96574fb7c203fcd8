"""A row of the ledger: what became of one request for a token, and nothing that names anyone.

Rows are read again, by this version and by later ones, so their form is an interface:
docs/ledger.md describes each field, and `FORMAT` counts its versions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum

FORMAT = 1
_MAX_TIME_MS = 253_402_300_799_999
"""The year 9999."""


class Outcome(StrEnum):
    """How a request ended."""

    ISSUED = "issued"
    """A token was made for it, and charged."""
    REPEATED = "repeated"
    """It was answered with the token of an earlier request that had the same key."""
    REFUSED = "refused"
    """It may not have one: the caller's doing."""
    FAILED = "failed"
    """It could not have one: a dependency's doing, or ours."""


class Malformed(ValueError):
    """What was read is no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row. Times are milliseconds since the epoch; "" and 0 mean: none, or not known.

    `user`, `token` and `idempotency_key` are keyed hashes (tokenservice.ledger.names).
    """

    id: str
    """Unique. A row that was written twice is told by it."""
    at: int
    outcome: str
    reason: str = ""
    """Why there is no token, as UPPER_SNAKE; of an issued one, why it was not delivered."""
    decision_id: str = ""
    request_id: str = ""
    trace_id: str = ""
    user: str = ""
    acting: str = ""
    """The service that asked for the user, by its name."""
    credential: str = ""
    """What proved who called: `jwt`, `api_key`, `certificate`."""
    tier: str = ""
    model: str = ""
    config: str = ""
    """SHA-256 of the configuration that the token is locked to, in hex."""
    token: str = ""
    expires_at: int = 0
    idempotency_key: str = ""

    def to_json(self) -> bytes:
        """Return the row as one line of ASCII without its end; what is not there is left out."""
        values = {name: value for name in _FIELDS if (value := getattr(self, name)) not in {"", 0}}
        whole = {"v": FORMAT, "id": self.id, "at": self.at, "outcome": self.outcome, **values}
        return json.dumps(whole, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, line: bytes | str) -> Entry:
        """Read a row. Fields of later versions do not count.

        Raises:
            Malformed: It is none. What it says is not repeated.

        """
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            raise Malformed("it is no JSON") from None
        if not isinstance(read, dict) or type(read.get("v")) is not int or read["v"] < 1:
            raise Malformed("it is no row")
        values = {name: read[name] for name in _FIELDS if name in read}
        if any(type(value) is not _FIELDS[name] for name, value in values.items()):
            raise Malformed("a field is not what it must be")
        if not all(0 <= values.get(time, 0) <= _MAX_TIME_MS for time in ("at", "expires_at")):
            raise Malformed("a time is none")
        try:
            return cls(**values)
        except TypeError:
            raise Malformed("a field is missing") from None


_FIELDS = {
    field.name: int if field.name in {"at", "expires_at"} else str for field in fields(Entry)
}
