"""What can be asked of a store, and what it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policy.limits import Verdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request of one user. No field is a raw identifier."""

    user: str
    """The user's pseudonym."""
    request: bytes
    """Digest of the request id: the same for a repeat."""
    owner: bytes
    """Made anew for each attempt, so that only one of several can commit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user has been issued; times in milliseconds since the epoch."""

    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    next_allowed_at: int | None
    """From when on one more token would pass. None: now."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """Charged. Mint, and commit before `lease_until`."""

    lease_until: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Not charged: a limit was met at `now`."""

    verdict: Verdict
    now: int


@dataclass(frozen=True, slots=True)
class InProgress:
    """Not charged: another attempt at this request holds it until `lease_until`."""

    lease_until: int
    now: int


@dataclass(frozen=True, slots=True)
class Reused:
    """Not charged: the request id was used with another content."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Not charged again: this request was committed, with this result."""

    sealed_result: bytes
    usage: Usage


@dataclass(frozen=True, slots=True)
class Committed:
    """Final. The tokens may be delivered."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Lost:
    """The reservation is gone, its lease ran out, or it is another attempt's."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of all users together."""

    active_users: int
    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    pending_reservations: int


Decision = Reserved | Refused | InProgress | Reused | Replayed
CommitOutcome = Committed | Lost
