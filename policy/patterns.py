"""What a user's tries amount to. Pure.

A grant is never evidence, for it is no try (policy.tries). Nor is a refusal as
such: a client cannot know a limit before it has met it. What counts is what a
client does that was told better:

- It comes before it was told to. Each refusal makes an appointment: "from T on".
  A try from T on keeps one, whoever made it; a try that has none to keep, while
  one is still to come, did not wait. So a user's tabs and workers, each waiting
  as it was told, are never in one another's way: policy cannot tell them apart
  and need not. Only the first try of each may fall into another's wait.
- It sends what is refused for its content, or one request id with two contents.
- For volume and identical requests: it has the same answer repeated to it.

A rule is broken only by a try that itself counts.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING

from policy.rules import (
    EnumerationRule,
    Finding,
    IdenticalRule,
    Mode,
    Rule,
    TimingRule,
    VolumeRule,
)
from policy.tries import Memory, Try, TryKind, added

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from policy.rules import Rules

_UNSEEN = b""
"""No content's fingerprint."""

ARRIVAL_MS = 1_000
"""How long an answer may take to reach its caller: until then nobody was told anything."""

_Pattern = VolumeRule | IdenticalRule | EnumerationRule | TimingRule


@dataclass(frozen=True, slots=True)
class _Measure:
    observed: float
    threshold: float
    broken: bool
    """By the tries that count, if the newest is one of them."""
    applies: bool = True


class _Tries:
    """A user's tries: what counts of them, and what would if the newest were made again."""

    def __init__(self, tries: Sequence[Try], memory: Memory) -> None:
        self.newest = tries[-1]
        self.memory = memory
        self.all = added(tries[:-1], self.newest, memory)
        self.counted = evidence(self.all)
        self._again: dict[Try, tuple[Try, list[Try]]] = {}

    def again(self, at: int, fingerprint: bytes) -> tuple[Try, list[Try]]:
        """Return the newest try as it would be at another time, and what would then count."""
        newest = replace(self.newest, at=at, fingerprint=fingerprint)
        if newest not in self._again:
            self._again[newest] = newest, evidence(added(self.all, newest, self.memory))
        return self._again[newest]


def findings(tries: Sequence[Try], rules: Rules) -> list[Finding]:
    """Return what each rule makes of the last of `tries`, which are oldest first."""
    known = _Tries(tries, rules.memory) if tries else None
    return [
        _finding(name, rule, known)
        for name, rule in (
            (Rule.VOLUME, rules.volume),
            (Rule.IDENTICAL_REQUESTS, rules.identical_requests),
            (Rule.PARAMETER_ENUMERATION, rules.parameter_enumeration),
            (Rule.MACHINE_TIMING, rules.machine_timing),
        )
    ]


def evidence(tries: Iterable[Try]) -> list[Try]:
    """Return those of `tries`, oldest first, that count."""
    counted: list[Try] = []
    to_come: list[int] = []
    binding: deque[Try] = deque()
    due = 0
    for each in tries:
        told, at = each.told, each.at
        if told and each.kind is TryKind.BUSY:
            # Asking again for what is still at work is what request ids are for, and
            # the lease is the longest that it can take: few callers wait for it.
            continue
        while to_come and to_come[0] <= at:
            heappop(to_come)
            due += 1
        while binding and binding[0].told <= at:
            binding.popleft()
        if each.kind is not TryKind.REFUSED:
            counted.append(each)
        elif due:
            due -= 1
        elif binding and binding[0].at + ARRIVAL_MS <= at:
            counted.append(each)
        if told:
            heappush(to_come, told)
            binding.append(each)
    return counted


def _finding(name: Rule, rule: _Pattern, tries: _Tries | None) -> Finding:
    if rule.mode is Mode.OFF or tries is None:
        return Finding(name, rule.mode, broken=False, applies=False, violation=rule.violation)
    measure = _judged(rule, tries.newest, tries.counted)
    return Finding(
        name,
        rule.mode,
        measure.broken,
        measure.observed,
        measure.threshold,
        measure.applies,
        _ends_at(rule, tries) if measure.broken else None,
        rule.violation,
    )


def _judged(rule: _Pattern, newest: Try, counted: Sequence[Try]) -> _Measure:
    looked_at = _looked_at(rule, newest, counted)
    measure = _measure(rule, looked_at, newest)
    if measure.broken and looked_at[-1] is not newest:
        return replace(measure, broken=False)
    return measure


def _looked_at(rule: _Pattern, newest: Try, counted: Sequence[Try]) -> list[Try]:
    since = newest.at - rule.window_ms
    replays = isinstance(rule, VolumeRule | IdenticalRule)
    return [
        each
        for each in counted
        if since < each.at and (replays or each.kind is not TryKind.REPLAYED)
    ]


def _measure(rule: _Pattern, counted: Sequence[Try], newest: Try) -> _Measure:
    match rule:
        case VolumeRule():
            return _Measure(len(counted), rule.most, len(counted) > rule.most)
        case IdenticalRule():
            same = sum(each.fingerprint == newest.fingerprint for each in counted)
            return _Measure(same, rule.most, len(counted) >= rule.known and same > rule.most)
        case EnumerationRule():
            distinct = len({each.fingerprint for each in counted[-rule.known :]})
            return _Measure(
                distinct, rule.most, len(counted) >= rule.known and distinct > rule.most
            )
        case TimingRule():
            gaps = _gaps(counted)[-rule.known :]
            if len(gaps) < rule.known:
                return _Measure(0, rule.deviation_ms, broken=False, applies=False)
            spread = len(gaps) * sum(gap * gap for gap in gaps) - sum(gaps) ** 2
            deviation = math.sqrt(spread) / len(gaps)
            return _Measure(deviation, rule.deviation_ms, deviation < rule.deviation_ms)


def _gaps(counted: Sequence[Try]) -> list[int]:
    return [later.at - earlier.at for earlier, later in pairwise(counted)]


def _ends_at(rule: _Pattern, tries: _Tries) -> int | None:
    """Return from when on the newest try would break the rule no more, were it made again.

    For enumeration: another such try, with a content that was not seen yet.

    Between the moments at which something is forgotten or an appointment comes
    due nothing changes, except that an interval grows: see `_out_of_step`.
    """
    newest = tries.newest
    moments = {each.told for each in tries.all} | {each.at + ARRIVAL_MS for each in tries.all}
    for window_ms in (rule.window_ms, tries.memory.window_ms):
        moments |= {each.at + window_ms for each in tries.all}
    if isinstance(rule, TimingRule):
        gaps = _gaps(_looked_at(rule, newest, tries.counted))
        moments |= _out_of_step(rule, gaps, newest.at)
    times = sorted(moment for moment in moments if moment > newest.at)
    fingerprint = _UNSEEN if isinstance(rule, EnumerationRule) else newest.fingerprint

    def mended(time: int) -> bool:
        return not _judged(rule, *tries.again(time, fingerprint)).broken

    place = bisect_left(times, True, key=mended)  # noqa: FBT003 - what is looked for
    return times[place] if place < len(times) else None


def _out_of_step(rule: TimingRule, gaps: Sequence[int], now: int) -> set[int]:
    """Return when one more interval, from `now` on, is long enough to be irregular.

    With the others it has the deviation d, where x is the greater root of
    (k - 1) x² - 2 S x + k Q - S² - k² d² = 0, S being their sum and Q that of
    their squares. Its neighbours make up for rounding.
    """
    others = gaps[len(gaps) - rule.known + 1 :]
    total, squares = sum(others), sum(gap * gap for gap in others)
    deviation = (rule.known * rule.deviation_ms) ** 2
    discriminant = total**2 - (rule.known - 1) * (rule.known * squares - total**2 - deviation)
    root = now + math.ceil((total + math.sqrt(max(discriminant, 0))) / (rule.known - 1))
    return {root - 1, root, root + 1}
