"""What docs/quota.md says, as plainly as it can be written: lists, and counting one by one.

Shares no code with policy, so that it cannot share a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PENDING, ISSUED, REFUNDED = 1, 2, 3
STRICTEST = ("tokens_per_hour", "tokens_per_day", "cooldown", "concurrent_sessions")


@dataclass
class Rules:
    """The limits of the model's one user."""

    hour: int = 10
    day: int = 100
    cooldown: int = 0
    sessions: int = 0
    refunds: int = 5
    lease: int = 30_000


@dataclass
class Entry:
    """Tokens reserved together."""

    at: int
    expires: int
    count: int
    state: int
    request: bytes
    owner: bytes
    content: bytes

    def dead(self, now: int) -> bool:
        """Whether it counts for nothing any more."""
        if self.state == PENDING:
            return now >= self.expires
        if self.state == REFUNDED:
            return now >= self.at + HOUR
        return now >= self.at + DAY and now >= self.expires


@dataclass
class PlainModel:
    """One user."""

    clock: Callable[[], int]
    rules: Rules
    entries: list[Entry] = field(default_factory=list)
    seals: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)

    def reserve(
        self, request: bytes, owner: bytes, content: bytes, count: int
    ) -> tuple[object, ...]:
        """Charge, all or none."""
        now = self._now()
        for entry in reversed(self.entries):
            if entry.request != request or entry.state == REFUNDED:
                continue
            result = self.seals.get(request)
            replayable = result is not None and now < result[1]
            if entry.state == ISSUED and not replayable:
                continue
            if entry.content != content:
                return ("reused", now)
            if entry.state == ISSUED:
                assert result is not None
                return ("replayed", result[0], self._usage(now), now)
            if entry.owner == owner:
                return ("reserved", entry.expires)
            return ("in progress", entry.expires, now)
        refused = self._refused(count, now)
        if refused is not None:
            return ("refused", *refused, now)
        end = now + self.rules.lease
        self.entries.append(Entry(now, end, count, PENDING, request, owner, content))
        return ("reserved", end)

    def commit(
        self, request: bytes, owner: bytes, count: int, expires: int, until: int
    ) -> tuple[object, ...]:
        """Issue `count` of what was reserved."""
        now = self._now()
        entry = self._of(request, owner)
        if entry is None or entry.state == REFUNDED or count > entry.count:
            return ("lost",)
        if entry.state == PENDING:
            self.entries.remove(entry)
            self.entries.append(replace(entry, at=now, expires=expires, count=count, state=ISSUED))
            self.seals.pop(request, None)
            if now < until:
                self.seals[request] = (b"sealed for " + owner, until)
        return ("committed", self._usage(now))

    def release(self, request: bytes, owner: bytes, *, ambiguous: bool) -> str:
        """Give back what is pending."""
        now = self._now()
        entry = self._of(request, owner)
        if entry is None or entry.state != PENDING:
            return "nothing"
        if (
            ambiguous
            and len([e for e in self.entries if e.state == REFUNDED]) >= self.rules.refunds
        ):
            entry.state, entry.expires, entry.owner = ISSUED, entry.at, bytes(8)
            self.seals.pop(request, None)
            return "kept"
        self.entries.remove(entry)
        if ambiguous:
            self.entries.append(replace(entry, at=now, expires=now, count=0, state=REFUNDED))
        return "released"

    def usage(self) -> tuple[object, ...]:
        """Read, and change nothing."""
        other = PlainModel(self.clock, self.rules, [replace(entry) for entry in self.entries])
        return other._usage(other._now())

    def _usage(self, now: int) -> tuple[object, ...]:
        issued = [entry for entry in self.entries if entry.state == ISSUED]
        refused = self._refused(1, now)
        return (
            sum(entry.count for entry in issued if now < entry.expires),
            sum(entry.count for entry in issued if now < entry.at + HOUR),
            sum(entry.count for entry in issued if now < entry.at + DAY),
            refused[2] if refused else None,
        )

    def _now(self) -> int:
        """Tell the time: a clock a little back stands still, one far back is believed."""
        now = self.clock()
        if self.entries:
            newest = max(entry.at for entry in self.entries)
            if newest > now + MINUTE:
                for entry in self.entries:
                    if entry.at > now:
                        if entry.state == PENDING:
                            entry.expires -= entry.at - now
                        entry.at = now
            elif newest > now:
                now = newest
        self.entries = [entry for entry in self.entries if not entry.dead(now)]
        return now

    def _of(self, request: bytes, owner: bytes) -> Entry | None:
        mine = [e for e in self.entries if e.request == request and e.owner == owner]
        return mine[-1] if mine else None

    def _allowed(self, limit: str, count: int, now: int) -> bool:
        """Say by counting whether one limit lets `count` pass."""
        counted = [entry for entry in self.entries if entry.state != REFUNDED]
        rules = self.rules
        if limit == "tokens_per_hour":
            return sum(e.count for e in counted if now < e.at + HOUR) + count <= rules.hour
        if limit == "tokens_per_day":
            return sum(e.count for e in counted if now < e.at + DAY) + count <= rules.day
        if limit == "cooldown":
            return rules.cooldown == 0 or all(
                now >= e.at + rules.cooldown and (e.state != PENDING or now >= e.expires)
                for e in counted
            )
        held = sum(e.count for e in counted if now < e.expires)
        return rules.sessions == 0 or held + count <= rules.sessions

    def _refused(self, count: int, now: int) -> tuple[str, int, int | None] | None:
        """Return which limit refuses longest, its value and until when; try every moment."""
        moments = sorted(
            {
                moment
                for e in self.entries
                for moment in (e.at + HOUR, e.at + DAY, e.at + self.rules.cooldown, e.expires)
                if moment > now
            }
        )
        found: list[tuple[float, str]] = []
        for limit in STRICTEST:
            if not self._allowed(limit, count, now):
                ends = [moment for moment in moments if self._allowed(limit, count, moment)]
                found.append((ends[0] if ends else float("inf"), limit))
        if not found:
            return None
        latest = max(end for end, _ in found)
        limit = next(limit for end, limit in found if end == latest)
        values = (self.rules.hour, self.rules.day, self.rules.cooldown, self.rules.sessions)
        return (
            limit,
            dict(zip(STRICTEST, values, strict=True))[limit],
            (None if latest == float("inf") else int(latest)),
        )
