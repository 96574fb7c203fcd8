"""One user's recent attempts that were not granted: what rules against abuse look at.

A grant is never evidence: what the limits allow cannot be held against anyone.
No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from policy.account import STANDSTILL_MS
from policy.decisions import InProgress, Refused, Replayed, Reserved, Reused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.decisions import Decision


class TryKind(IntEnum):
    """How an attempt ended."""

    REFUSED = 1
    """By a limit, which told when to come again."""
    REJECTED = 2
    """For its own content, before policy was asked."""
    BUSY = 3
    """Another attempt at the same request was at work, or had another content."""
    REPLAYED = 4
    """Answered with what an earlier attempt got."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt that was not granted."""

    at: int
    told: int
    """From when on it would pass, as the caller was told; 0: nothing was told."""
    kind: TryKind
    fingerprint: bytes
    """Of what was asked for: 4 bytes."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How much of the past is kept."""

    window_ms: int = 600_000
    most: int = 128
    """Tries a user."""


def added(tries: Sequence[Try], new: Try, memory: Memory) -> tuple[Try, ...]:
    """Return `tries` with `new`, oldest first, less what is past or too much.

    What lies in the future, after the clock was set back, is forgotten.
    """
    kept = [old for old in tries if new.at - memory.window_ms < old.at <= new.at + STANDSTILL_MS]
    return (*kept, new)[-memory.most :]


def tried(decision: Decision, fingerprint: bytes) -> Try | None:
    """Return the try that ended in `decision`. None: it was granted, which is no try."""
    match decision:
        case Reserved():
            return None
        case Refused(verdict, now):
            return Try(now, verdict.next_allowed_at or 0, TryKind.REFUSED, fingerprint)
        case InProgress(lease_until, now):
            return Try(now, lease_until, TryKind.BUSY, fingerprint)
        case Reused(now):
            return Try(now, 0, TryKind.BUSY, fingerprint)
        case Replayed(now=now):
            return Try(now, 0, TryKind.REPLAYED, fingerprint)
