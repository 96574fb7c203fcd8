"""A row in words: who got this token, when, and why; or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import terminal
from tokenservice.ledger.entry import Entry, Outcome
from tokenservice.ledger.rows import CALLER_LEFT

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREDENTIALS = {"jwt": "a JWT", "api_key": "an API key", "certificate": "a certificate"}
_WHY = {
    "ABUSE_DETECTED": "it fitted a pattern of abuse",
    "ADDRESS_BLOCKED": "the address was blocked",
    CALLER_LEFT: "the caller hung up, or its deadline passed, before there was an answer",
    "CUSTOM_INSTRUCTION_NOT_ALLOWED": "custom instructions are switched off",
    "IDEMPOTENCY_KEY_IN_USE": "the same request was still in progress",
    "IDEMPOTENCY_KEY_REUSED": "the idempotency key had come with another request",
    "INTERNAL": "a defect of ours",
    "INVALID_ARGUMENT": "a field of the request was not what it must be",
    "MODEL_NOT_ALLOWED": "the model is not one of those allowed",
    "PERMISSION_DENIED": "the caller may not do this",
    "POLICY_UNAVAILABLE": "policy did not answer",
    "RATE_LIMIT_EXCEEDED": "a limit on tokens was met",
    "UNAUTHENTICATED": "the credentials were missing or not accepted",
    "UPSTREAM_MISCONFIGURED": "Gemini did not accept how we are set up",
    "UPSTREAM_UNAVAILABLE": "Gemini did not make one",
    "USER_BLOCKED": "the user was blocked",
}


def told(entry: Entry, now: int) -> str:
    """Return what a row says, as a sentence and the names to look further by."""
    lines = [f"{terminal.when(entry.at, now)}: {entry.outcome}", _sentence(entry, now)]
    lines += [part for part in (_who(entry), _names(entry), _token(entry)) if part]
    return "\n  ".join(terminal.plain(line) for line in lines)


def _sentence(entry: Entry, now: int) -> str:
    user = f"User {entry.user}" if entry.user else "Somebody unknown"
    model = f" for {entry.model}" if entry.model else ""
    ends = f", which {_ends(entry.expires_at, now)}" if entry.expires_at else ""
    match entry.outcome:
        case Outcome.ISSUED:
            but = f" The answer did not go out: {_why(entry)}." if entry.reason else ""
            return f"{user} was issued a token{model}{ends}.{but}"
        case Outcome.REPEATED:
            return (
                f"{user} was given a token{model}{ends}, again: the same request had been "
                "issued it before, and it was not charged twice."
            )
        case Outcome.REFUSED:
            return f"{user} was refused a token{model}: {_why(entry)}."
        case Outcome.FAILED:
            return f"{user} could not be issued a token{model}: {_why(entry)}."
        case _:
            return f"{user}: {_why(entry)}."


def _why(entry: Entry) -> str:
    words = _WHY.get(entry.reason)
    return f"{entry.reason}, {words}" if words else entry.reason or "it does not say why"


def _ends(expires_at: int, now: int) -> str:
    return f"{'ends' if expires_at >= now else 'ended'} {terminal.when(expires_at, now)}"


def _who(entry: Entry) -> str:
    parts = []
    if entry.credential:
        parts.append(f"proved by {_CREDENTIALS.get(entry.credential, entry.credential)}")
    if entry.acting:
        parts.append(f"asked for by the service {entry.acting}")
    if entry.tier:
        parts.append(f"tier {entry.tier}")
    return ", ".join(parts)


def _names(entry: Entry) -> str:
    return ", ".join(_named(entry))


def _named(entry: Entry) -> Iterator[str]:
    named = {
        "decision": entry.decision_id,
        "request": entry.request_id,
        "trace": entry.trace_id,
        "idempotency key": entry.idempotency_key,
    }
    return (f"{name} {value}" for name, value in named.items() if value)


def _token(entry: Entry) -> str:
    named = {"token": entry.token, "configuration": entry.config}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value)
