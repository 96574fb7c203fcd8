"""The transaction that issues a token: reserve, mint, commit, deliver."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from serving.log_areas import debugging
from tokenservice.errors import SealedElsewhere
from tokenservice.policy_port import Attempt
from tokenservice.seal import BrokenSeal, Minted

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.clock import Clock
    from tokenservice.deadline import Deadline
    from tokenservice.grant import Grant, TokenRequest
    from tokenservice.policy_port import Policy, Replay, Reservation, Usage
    from tokenservice.principal import Caller, Principal
    from tokenservice.seal import Sealer
    from tokenservice.token import EphemeralToken, Lifetime

log = structlog.get_logger(__name__)

_COMMIT_SECONDS = 1.0
"""What minting leaves of the deadline, so that a token in hand can be committed; less
where there is little to begin with."""


class Minter(Protocol):
    """Makes tokens."""

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """Return a token locked to `grant`, or raise an outcome of `tokenservice.errors`."""
        ...


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that may be delivered."""

    token: EphemeralToken
    lifetime: Lifetime
    usage: Usage
    decision_id: str
    model: str = ""
    tier: str = ""
    """By which of policy's tiers."""
    repeated: bool = False
    """Whether an earlier request with the same id was charged for it, and this one was not."""


class Issuer:
    """Issues tokens. A charge is final exactly when its token may be delivered."""

    def __init__(
        self,
        policy: Policy,
        minter: Minter,
        sealer: Sealer,
        clock: Clock,
        *,
        delivered: Callable[[IssuedToken], None] = lambda _: None,
    ) -> None:
        """Ask `policy`, make tokens with `minter`, leave them sealed by `sealer` for a repeat.

        `delivered` hears of each that may go to its caller, be it there still or not.
        """
        self._policy = policy
        self._minter = minter
        self._sealer = sealer
        self._clock = clock
        self._delivered = delivered
        self._at_work: set[asyncio.Task[IssuedToken]] = set()

    async def issue(
        self, caller: Caller, asked: TokenRequest, grant: Grant, deadline: Deadline
    ) -> IssuedToken:
        """Issue a token of `grant`, which is what `asked` is granted, or raise why not.

        A caller who hangs up does not stop what has begun: mint and commit run
        on, and a repeat with the same request id finds their token.
        """
        attempt = Attempt(
            caller=caller,
            asked=asked,
            request_id=asked.request_id or uuid.uuid4().hex,
            owner=secrets.token_bytes(8),
            fingerprint=_fingerprint(grant, caller.principal),
        )
        task = asyncio.create_task(self._transact(attempt, grant, deadline))
        self._at_work.add(task)
        task.add_done_callback(self._done)
        issued = await asyncio.shield(task)
        self._delivered(issued)
        if debugging(__name__):
            log.debug(
                "issued",
                decision_id=issued.decision_id,
                model=issued.model,
                repeated=issued.repeated,
            )
        return issued

    async def drain(self) -> None:
        """Wait for what has begun. Each of it ends by its own deadline."""
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def _transact(self, attempt: Attempt, grant: Grant, deadline: Deadline) -> IssuedToken:
        lifetime = grant.lifetime(self._clock())
        async with self._policy.reservation(attempt, deadline) as reservation:
            if reservation.replay is not None:
                return self._again(reservation.replay, attempt, grant, reservation)
            kept = min(_COMMIT_SECONDS, deadline.remaining / 3)
            token = await self._minter.mint(grant, lifetime, deadline.earlier(kept))
            minted = Minted(token, lifetime)
            usage = await reservation.commit(
                [lifetime.expires_at],
                self._sealer.seal(minted, *_holder(attempt)),
                lifetime.session_start_until,
            )
            return IssuedToken(
                token,
                lifetime,
                usage,
                reservation.decision_id,
                model=grant.model.name,
                tier=reservation.tier,
            )

    def _again(
        self, replay: Replay, attempt: Attempt, grant: Grant, reservation: Reservation
    ) -> IssuedToken:
        try:
            minted = self._sealer.open(replay.sealed_result, *_holder(attempt))
        except BrokenSeal as error:
            log.warning(
                "repeat sealed under another key",
                decision_id=reservation.decision_id,
                hint="TOKENSERVICE_SEAL_KEY must be set, and the same for all replicas",
            )
            raise _sealed_elsewhere(grant) from error
        return IssuedToken(
            minted.token,
            minted.lifetime,
            replay.usage,
            reservation.decision_id,
            model=grant.model.name,
            tier=reservation.tier,
            repeated=True,
        )

    def _done(self, task: asyncio.Task[IssuedToken]) -> None:
        self._at_work.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even where the caller has gone


def _fingerprint(grant: Grant, principal: Principal) -> bytes:
    """Return what a repeat must have in common: the grant, and the key that was proven."""
    if not principal.key_thumbprint:
        return grant.fingerprint
    bound = grant.fingerprint + principal.key_thumbprint.encode()
    return hashlib.sha256(bound).digest()[: len(grant.fingerprint)]


def _holder(attempt: Attempt) -> tuple[str, str, str]:
    """Return for whom a result is sealed: the user, the request, the key that was proven."""
    return attempt.subject, attempt.request_id, attempt.caller.principal.key_thumbprint


def _sealed_elsewhere(grant: Grant) -> SealedElsewhere:
    """Say to wait until the start window is over: only then is a repeat a new request.

    When that is stands in the seal alone, so it is the whole window, at the latest.
    """
    return SealedElsewhere(retry_after=grant.lifetime(0).session_start_until / 1000)
