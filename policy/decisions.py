"""What can be asked of a store, and what it can answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policy.account import Account
    from policy.limits import Assessment, Verdict
    from policy.rules import Rule
    from policy.standing import Block, Offender, Standing
    from policy.tries import Try


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request of one user. No field is a raw identifier."""

    user: str
    """The user's pseudonym."""
    request: bytes
    """Digest of the request id, 12 bytes: the same for a repeat."""
    owner: bytes
    """8 bytes, made anew for each attempt, so that only one of several can commit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user has been issued; times in milliseconds since the epoch."""

    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    next_allowed_at: int | None
    """From when on one more token would pass. None: now."""
    by_limit: tuple[Assessment, ...] = field(default=(), compare=False)
    """What each limit that is on makes of one more token."""
    now: int = field(default=0, compare=False)
    """When it was read."""


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

    now: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """Not charged again: this request was committed, with this result."""

    sealed_result: bytes
    usage: Usage
    now: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """Not charged: the offender is blocked."""

    offender: Offender
    block: Block
    now: int


@dataclass(frozen=True, slots=True)
class Denied:
    """Not charged: the policy file denies the address everything."""


@dataclass(frozen=True, slots=True)
class Abusive:
    """Not charged: a rule against abuse was broken."""

    rule: Rule
    now: int
    ends_at: int | None = None
    """When waiting alone mends it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Nothing was asked for: a report was heard."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Final. The tokens may be delivered."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Lost:
    """The reservation is gone, its lease ran out, or it is another attempt's."""


class Release(StrEnum):
    """What became of a release."""

    RELEASED = "released"
    KEPT = "kept"
    """The budget of refunds is used up: the charge stays."""
    NOTHING = "nothing"
    """There was no pending charge of this attempt any more."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of all users together."""

    active_users: int
    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    pending_reservations: int


Decision = Reserved | Refused | InProgress | Reused | Replayed
"""What an account decides."""
Outcome = Decision | Blocked | Denied | Abusive | Noted
"""What policy decides."""
CommitOutcome = Committed | Lost


@dataclass(frozen=True, slots=True)
class Answer:
    """A store's answer to a reservation."""

    decision: Decision | Blocked
    tries: tuple[Try, ...] = ()
    """The user's recent tries, oldest first, this one last; empty where nothing was
    refused by a limit or repeated."""
    degraded: bool = False
    """Decided without the shared store."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A user's recent tries, oldest first, at `now`."""

    now: int
    tries: tuple[Try, ...]
    degraded: bool = False
    """Without the shared store."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that is known of a user, and how an address stands, at `now`."""

    now: int
    account: Account
    tries: tuple[Try, ...]
    user: Standing
    address: Standing
    degraded: bool = False
    """Without the shared store."""


@dataclass(frozen=True, slots=True)
class ListedBlock:
    """A block and whose it is."""

    offender: Offender
    block: Block
