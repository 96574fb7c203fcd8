"""The outcomes of issuing that are not a token, beyond those of `serving.errors`.

Unauthenticated    ← WrongCredentials, BadProof
PermissionDenied   ← AddressBlocked, UserBlocked, SubjectDenied
QuotaExceeded      ← RateLimitExceeded
Throttled          ← AbuseDetected
InvalidArgument    ← ModelNotAllowed, CustomInstructionNotAllowed
Aborted            ← IdempotencyKeyInUse
FailedPrecondition ← IdempotencyKeyReused
Unavailable        ← PolicyUnavailable, UpstreamUnavailable, NotServing
PolicyUnavailable  ← SealedElsewhere, IdentityUnavailable, LedgerUnavailable
Internal           ← UpstreamMisconfigured
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import errors
from tokenservice.identity.proof_key import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Mapping


class WrongCredentials(errors.Unauthenticated):
    """Credentials that no honest client has: callers read the same as of any other.

    Not among them: none at all, and a token of ours at the wrong time. An office
    full of stale tabs must not be taken for somebody who guesses.
    """


class BadProof(errors.Unauthenticated):
    """A proof of possession that proves nothing, or none where there must be one.

    Not among WrongCredentials: a client whose clock is wrong has nothing else.
    """

    message = "The DPoP proof is not valid."

    def __init__(self, message: str | None = None) -> None:
        """Say with which algorithms a proof can be made."""
        super().__init__(message)
        self.metadata[errors.PROOF_ALGORITHMS] = " ".join(ALGORITHMS)


class AddressBlocked(errors.PermissionDenied):
    """The client's address is blocked, for a time or for good."""

    reason = "ADDRESS_BLOCKED"
    message = "This address is blocked."


class UserBlocked(errors.PermissionDenied):
    """The principal is blocked, for a time or for good."""

    reason = "USER_BLOCKED"
    message = "This user is blocked."


class SubjectDenied(errors.PermissionDenied):
    """An operator has ended what the principal may: no policy's block, and no waiting."""

    reason = UserBlocked.reason
    message = "This user may not use the service any more."


class AbuseDetected(errors.Throttled):
    """A rule against abuse refused."""

    reason = "ABUSE_DETECTED"
    message = "The request was refused: it fits a pattern of abuse."

    def __init__(self, rule: str, *, retry_after: float | None) -> None:
        """Name the rule."""
        super().__init__(retry_after=retry_after)
        self.metadata["rule"] = rule


class RateLimitExceeded(errors.QuotaExceeded):
    """A quota or the cooldown. Clients look for the first words of the message."""

    reason = "RATE_LIMIT_EXCEEDED"


class ModelNotAllowed(errors.InvalidArgument):
    """The model is not on the list, or unknown: one answer for both."""

    reason = "MODEL_NOT_ALLOWED"


class CustomInstructionNotAllowed(errors.InvalidArgument):
    """Custom instructions are switched off."""

    reason = "CUSTOM_INSTRUCTION_NOT_ALLOWED"


class IdempotencyKeyInUse(errors.Aborted):
    """Another attempt at the same request is at work."""

    reason = "IDEMPOTENCY_KEY_IN_USE"
    message = "A request with this idempotency key is still in progress."


class IdempotencyKeyReused(errors.FailedPrecondition):
    """The key came with another content before."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    message = "This idempotency key was used for a different request."


class PolicyUnavailable(errors.Unavailable):
    """No decision, no token."""

    reason = "POLICY_UNAVAILABLE"
    message = "Tokens cannot be issued now: the policy service is not available."


class SealedElsewhere(PolicyUnavailable):
    """The token of this request exists, sealed under a key that is not ours."""

    message = (
        "This request was answered before, by a server whose answer this one cannot read. "
        "Repeat it later, or with a new idempotency key."
    )


class IdentityUnavailable(PolicyUnavailable):
    """It cannot be told who may still: no decision, no token."""

    message = "Tokens cannot be issued now: it cannot be told who may have one."


class LedgerUnavailable(PolicyUnavailable):
    """No row, no token: where the ledger is required, and has no room."""

    message = "Tokens cannot be issued now: they could not be accounted for."


class UpstreamUnavailable(errors.Unavailable):
    """Gemini is away, slow, or over quota."""

    reason = "UPSTREAM_UNAVAILABLE"
    message = "Tokens cannot be issued now: Gemini is not available."
    retry_after: float | None = None  # unless Gemini names some; the minter decides in the end
    ambiguous: bool = False
    """Whether a token may have been made, that nobody has."""


class UpstreamMisconfigured(errors.Internal):
    """Gemini refuses for our fault: key, project, or what we lock."""

    reason = "UPSTREAM_MISCONFIGURED"
    message = "Tokens cannot be issued: the service is misconfigured."
    ambiguous: bool = False
    """Whether an earlier attempt may have made a token, that nobody has."""


class NotServing(errors.Unavailable):
    """A dependency is not serving, so no token could be issued."""

    def __init__(self, dependencies: Mapping[str, str]) -> None:
        """Name those of `dependencies` (name → reason) that are not serving."""
        names = ", ".join(sorted(dependencies))
        super().__init__(f"Tokens cannot be issued now; not serving: {names}.")
        self.dependencies = dependencies
        upstream = "gemini" in dependencies
        self.reason = UpstreamUnavailable.reason if upstream else PolicyUnavailable.reason


def token_may_exist(error: BaseException) -> bool:
    """Return whether what ended a mint or followed it leaves a token that nobody has."""
    match error:
        case UpstreamUnavailable() | UpstreamMisconfigured():
            return error.ambiguous
        case _:  # a commit that was not heard of, a cancellation, a defect: who knows
            return True
