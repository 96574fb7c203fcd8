"""What issuing needs of policy, in its own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from tokenservice.client_info import ClientInfo
    from tokenservice.deadline import Deadline
    from tokenservice.grant import TokenRequest
    from tokenservice.principal import Caller, Principal


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request of one principal."""

    caller: Caller
    asked: TokenRequest
    """What rules may look at; the decision is about `fingerprint`."""
    request_id: str = field(repr=False)
    owner: bytes
    fingerprint: bytes
    count: int = 1

    @property
    def subject(self) -> str:
        """Whose quota is charged."""
        return self.caller.principal.subject


@dataclass(frozen=True, slots=True)
class Quota:
    """A principal's limits."""

    tokens_per_hour: int
    tokens_per_day: int
    cooldown_ms: int
    concurrent_sessions: int


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of one limit is used, in tokens; of the cooldown, in milliseconds."""

    limit: str
    value: int
    used: int
    """Of the cooldown: what is still to wait."""
    next_allowed_at: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a principal has been issued; times in milliseconds since the epoch."""

    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    next_allowed_at: int | None
    quota: Quota
    by_limit: tuple[LimitUse, ...]
    """Each limit that is on."""


@dataclass(frozen=True, slots=True)
class FleetStats:
    """What all principals together have been issued."""

    tokens_last_hour: int
    tokens_last_day: int
    active_tokens: int
    active_users: int
    pending_reservations: int


@dataclass(frozen=True, slots=True)
class Replay:
    """An earlier attempt of the same request was committed, with this result."""

    sealed_result: bytes = field(repr=False)
    usage: Usage


class Reservation(Protocol):
    """A charge that is given back unless it is committed."""

    decision_id: str
    tier: str
    """By which tier it was decided: one of policy's, whatever the principal's is called."""
    replay: Replay | None
    """Set where there is nothing to mint: deliver this again."""

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """Make the charge final; only then may a token be delivered.

        Raises:
            PolicyUnavailable: Refused, or unknown. Drop the token.

        """
        ...


class Policy(Protocol):
    """Decides, and keeps account."""

    def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AbstractAsyncContextManager[Reservation]:
        """Charge the quota for the length of the block; give it back unless committed.

        What is raised here or in the block names the decision, once there is one.

        Raises:
            RateLimitExceeded: A limit was met.
            AbuseDetected: A rule against abuse refused.
            AddressBlocked: The client's address is blocked.
            UserBlocked: The principal is blocked.
            IdempotencyKeyInUse: Another attempt at the request is at work.
            IdempotencyKeyReused: The request id came with another content.
            PolicyUnavailable: There was no decision.

        """
        ...

    async def report_credentials(
        self, client: ClientInfo, fingerprint: bytes, deadline: Deadline
    ) -> str:
        """Tell of wrong credentials, which have this digest. Return the decision's id.

        Not heard, it is dropped: then there is no decision, and its id is empty.
        """
        ...

    async def report_request(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> str:
        """Tell of a request that could not be granted. See report_credentials."""
        ...

    async def usage(self, principal: Principal, deadline: Deadline) -> Usage:
        """Read a principal's usage."""
        ...

    async def stats(self, deadline: Deadline) -> FleetStats:
        """Read the numbers of all principals together."""
        ...
