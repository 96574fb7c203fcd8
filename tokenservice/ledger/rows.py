"""From what happened to a request to its row."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING

from serving import errors
from tokenservice.ledger.entry import Entry, Outcome

if TYPE_CHECKING:
    from tokenservice.grant import Grant, TokenRequest
    from tokenservice.issuer import IssuedToken
    from tokenservice.ledger.names import Names
    from tokenservice.principal import Caller

CALLER_LEFT = "CALLER_LEFT"
"""The reason where the caller had hung up, or its deadline passed, before there was an answer."""

_TIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
"""What a tier may be called; a claim that is anything else may name a person."""
_ID_BYTES = 12


def entry_of(
    names: Names,
    *,
    now: int,
    request_id: str = "",
    trace_id: str = "",
    credential: str = "",
    caller: Caller | None = None,
    asked: TokenRequest | None = None,
    grant: Grant | None = None,
    issued: IssuedToken | None = None,
    error: BaseException | None = None,
) -> Entry:
    """Return the row of a request that ended at `now`, with a token, an error, or both.

    Both: a token was made and charged, and then the answer could not be given.
    """
    subject = caller.principal.subject if caller else ""
    tier = caller.principal.tier if caller else ""
    key = asked.request_id if asked else ""
    return Entry(
        id=secrets.token_hex(_ID_BYTES),
        at=now,
        outcome=_outcome(issued, error),
        reason=_reason(error),
        decision_id=_decision_id(issued, error),
        request_id=names.request(request_id, subject),
        trace_id=trace_id,
        user=names.user(subject) if subject else "",
        acting=caller.acting if caller else "",
        credential=credential,
        tier=tier if _TIER.fullmatch(tier) else "",
        model=grant.model.name if grant else "",
        config=locked_configuration(grant) if grant else "",
        token=names.token(issued.token.reveal()) if issued else "",
        expires_at=issued.lifetime.expires_at if issued else 0,
        idempotency_key=names.idempotency_key(subject, key) if subject and key else "",
    )


def locked_configuration(grant: Grant) -> str:
    """Return the SHA-256 of what a token is locked to, in hex: equal grants, equal digests.

    It is of canonical JSON: keys sorted, no spaces, ASCII.
    """
    content = {
        "setup": grant.setup,
        "durationMinutes": grant.duration_minutes,
        "startWindowMinutes": grant.start_window_minutes,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _outcome(issued: IssuedToken | None, error: BaseException | None) -> Outcome:
    if issued is not None:
        return Outcome.REPEATED if issued.repeated else Outcome.ISSUED
    match error:
        case errors.Unavailable() | errors.Internal():
            return Outcome.FAILED
        case errors.ServiceError():
            return Outcome.REFUSED
        case _:
            return Outcome.FAILED


def _reason(error: BaseException | None) -> str:
    match error:
        case None:
            return ""
        case errors.ServiceError():
            return error.reason
        case asyncio.CancelledError():
            return CALLER_LEFT
        case _:
            return errors.Internal.reason


def _decision_id(issued: IssuedToken | None, error: BaseException | None) -> str:
    if issued is not None:
        return issued.decision_id
    if isinstance(error, errors.ServiceError):
        return error.metadata.get(errors.DECISION_ID, "")
    return ""
