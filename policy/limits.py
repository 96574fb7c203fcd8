"""The arithmetic of quotas: pure functions of what was charged, and of now.

All times are milliseconds since the Unix epoch. A charge at `t` counts in the
window of `w` milliseconds while `now < t + w`: at `t + w`, to the millisecond,
its place is free again. The worked example is in docs/quota.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Limit(StrEnum):
    """Which limit refused."""

    TOKENS_PER_HOUR = "tokens_per_hour"
    TOKENS_PER_DAY = "tokens_per_day"
    COOLDOWN = "cooldown"
    CONCURRENT_SESSIONS = "concurrent_sessions"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may have."""

    tokens_per_hour: int = 10
    tokens_per_day: int = 100
    cooldown_ms: int = 300_000
    """Between two issues; 0: off."""
    concurrent_sessions: int = 0
    """Unexpired tokens at a time; 0: off."""
    refunds_per_hour: int = 5
    """Charges given back although a token may have been made; beyond them it stays."""


@dataclass(frozen=True, slots=True)
class Spend:
    """Tokens that count against a user, issued or about to be."""

    at: int
    """When they were issued, or, while their mint is under way, reserved."""
    count: int
    """How many they are."""
    expires: int
    """When the last of them expires; while their mint is under way, when their
    reservation does."""
    pending: bool = False
    """Whether their mint is under way: they may yet be issued until `expires`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit that refuses, and from when on it would not. None: never."""

    limit: Limit
    value: int
    next_allowed_at: int | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one limit makes of a request."""

    limit: Limit
    value: int
    """The limit: tokens, or the cooldown's milliseconds."""
    used: int
    """Of it: tokens that count, or milliseconds still to wait."""
    next_allowed_at: int | None
    """From when on the request would pass: now, if it passes. None: never."""

    def refuses(self, now: int) -> bool:
        """Whether the request is refused by it."""
        return self.next_allowed_at != now

    def headroom(self, now: int) -> int:
        """How many more tokens it would grant now."""
        if self.limit is Limit.COOLDOWN:
            return int(not self.refuses(now))
        return max(0, self.value - self.used)


def refusal(spends: Sequence[Spend], count: int, limits: Limits, now: int) -> Verdict | None:
    """Return the strictest limit that refuses `count` more tokens, or None.

    `spends` are in order of time. The strictest is the one that refuses longest.
    """
    return max(
        (
            Verdict(assessed.limit, assessed.value, assessed.next_allowed_at)
            for assessed in assess(spends, count, limits, now)
            if assessed.refuses(now)
        ),
        key=lambda v: float("inf") if v.next_allowed_at is None else v.next_allowed_at,
        default=None,
    )


def assess(spends: Sequence[Spend], count: int, limits: Limits, now: int) -> Iterable[Assessment]:
    """Assess `count` more tokens by each limit that is on. `spends` are in order of time."""
    hour = [(spend.at + HOUR_MS, spend.count) for spend in spends]
    yield _window(Limit.TOKENS_PER_HOUR, limits.tokens_per_hour, hour, count, now)
    day = [(spend.at + DAY_MS, spend.count) for spend in spends]
    yield _window(Limit.TOKENS_PER_DAY, limits.tokens_per_day, day, count, now)
    if limits.cooldown_ms:
        # A mint that is under way may end in a token later than `at + cooldown`.
        ends = max(
            (
                max(spend.at + limits.cooldown_ms, spend.expires if spend.pending else 0)
                for spend in spends
            ),
            default=now,
        )
        ends = max(now, ends)
        yield Assessment(Limit.COOLDOWN, limits.cooldown_ms, ends - now, ends)
    if sessions := limits.concurrent_sessions:
        slots = sorted((spend.expires, spend.count) for spend in spends)
        yield _window(Limit.CONCURRENT_SESSIONS, sessions, slots, count, now)


def _window(
    limit: Limit, value: int, slots: Sequence[tuple[int, int]], count: int, now: int
) -> Assessment:
    used = sum(places for until, places in slots if until > now)
    return Assessment(limit, value, used, _opens(slots, count, value, now))


def _opens(slots: Sequence[tuple[int, int]], count: int, size: int, now: int) -> int | None:
    """Return when `count` more fit into `size` places, of which some are taken.

    A slot is (when it is given back, how many places it holds), in order of time.
    """
    if count > size:
        return None
    taken = sum(places for until, places in slots if until > now)
    opens = now
    for until, places in slots:
        if taken + count <= size:
            break
        if until > now:
            taken -= places
            opens = until
    return opens
