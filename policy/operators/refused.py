"""Who was refused most in the last hour, in memory that strangers cannot make grow.

Counted by Misra and Gries, for each five minutes anew: when all places are taken,
whoever comes next takes one from the count of everybody. So nobody is counted too
often, and of whom is missing, or counted too low, at most one in `PLACES` of all
refusals is lost: who is refused more often than that is never unseen.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policy.decisions import Abusive, Blocked, Denied, Refused
from policy.rules import Rule
from policy.standing import Offender, Party

if TYPE_CHECKING:
    from policy.judge import Request, Ruling
    from serving.clock import Clock

PLACES = 500
_SLICES = 12
_SLICE_MS = 3_600_000 // _SLICES


@dataclass(slots=True)
class Tally:
    """How often somebody was refused, and how last; `last_at` in milliseconds since the epoch."""

    offender: Offender
    refusals: int
    last_reason: str
    last_at: int


@dataclass(slots=True)
class _Slice:
    since: int
    tallies: dict[Offender, Tally] = field(default_factory=dict)


class MostRefused:
    """Remembers for an hour who was refused: all of this process, in at most 6,000 places."""

    def __init__(self, clock: Clock) -> None:
        """Tell by `clock` what is old."""
        self._clock = clock
        self._slices: deque[_Slice] = deque([_Slice(clock())], maxlen=_SLICES)

    def hear(self, request: Request, ruling: Ruling) -> None:
        """Count a ruling, if it is a refusal."""
        if (refused := _refused(request, ruling)) is not None:
            self.count(*refused)

    def hear_credentials(self, address: str | None) -> None:
        """Count wrong credentials from an address, by its pseudonym. None: not known."""
        if address is not None:
            self.count(Offender(Party.ADDRESS, address), Rule.FAILED_CREDENTIALS.value)

    def count(self, offender: Offender, reason: str) -> None:
        """Count a refusal."""
        now = self._clock()
        tallies = self._current(now).tallies
        tally = tallies.get(offender)
        if tally is not None:
            tally.refusals += 1
            tally.last_reason, tally.last_at = reason, now
        elif len(tallies) < PLACES:
            tallies[offender] = Tally(offender, 1, reason, now)
        else:
            _take_one_each(tallies)

    @property
    def since(self) -> int:
        """Since when is counted, in milliseconds since the epoch."""
        self._current(self._clock())
        return self._slices[0].since

    def most(self, count: int) -> list[Tally]:
        """Return the `count` that were refused most, the most first; of equals, the latest."""
        self._current(self._clock())
        sums: dict[Offender, Tally] = {}
        for each in self._slices:
            for offender, tally in each.tallies.items():
                before = sums[offender].refusals if offender in sums else 0
                sums[offender] = Tally(
                    offender, before + tally.refusals, tally.last_reason, tally.last_at
                )
        return heapq.nlargest(count, sums.values(), key=lambda t: (t.refusals, t.last_at))

    def _current(self, now: int) -> _Slice:
        """Return the slice that counts now; forget those whose end is an hour ago."""
        newest = self._slices[-1]
        if now >= newest.since + _SLICE_MS:
            newest = _Slice(now - (now - newest.since) % _SLICE_MS)
            self._slices.append(newest)
        while self._slices[0].since <= now - _SLICES * _SLICE_MS:
            self._slices.popleft()
        return newest


def _take_one_each(tallies: dict[Offender, Tally]) -> None:
    for tally in tuple(tallies.values()):
        tally.refusals -= 1
        if not tally.refusals:
            del tallies[tally.offender]


def _refused(request: Request, ruling: Ruling) -> tuple[Offender, str] | None:
    """Return who was refused, and by what, in the words of `policy explain`."""
    user = Offender(Party.USER, request.attempt.user)
    match ruling.outcome:
        case Refused(verdict, _):
            return user, verdict.limit.value
        case Abusive(rule):
            return user, rule.value
        case Blocked(offender):
            return offender, f"{offender.party.value}_block"
        case Denied() if request.address is not None:
            return Offender(Party.ADDRESS, request.address), "address_denied"
        case _:
            return None
