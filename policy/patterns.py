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

_Pattern = VolumeRule | IdenticalRule | EnumerationRule | TimingRule


@dataclass(frozen=True, slots=True)
class _Measure:
    observed: float
    threshold: float
    broken: bool
    """By the tries that count, if the newest is one of them."""
    applies: bool = True


def findings(tries: Sequence[Try], rules: Rules) -> list[Finding]:
    """Return what each rule makes of the last of `tries`, which are oldest first."""
    memory = rules.memory
    if tries:
        tries = added(tries[:-1], tries[-1], memory)
    return [
        _finding(name, rule, tries, memory)
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
    due = 0
    for each in tries:
        while to_come and to_come[0] <= each.at:
            heappop(to_come)
            due += 1
        if _counts_by_kind(each):
            counted.append(each)
        elif due:
            due -= 1
        elif to_come:
            counted.append(each)
        if each.told:
            heappush(to_come, each.told)
    return counted


def _counts_by_kind(each: Try) -> bool:
    match each.kind:
        case TryKind.REJECTED | TryKind.REPLAYED:
            return True
        case TryKind.BUSY:
            return not each.told  # a request id used with another content
        case TryKind.REFUSED:
            return False


def _finding(name: Rule, rule: _Pattern, tries: Sequence[Try], memory: Memory) -> Finding:
    if rule.mode is Mode.OFF or not tries:
        return Finding(name, rule.mode, broken=False, applies=False, violation=rule.violation)
    measure = _judged(rule, tries)
    return Finding(
        name,
        rule.mode,
        measure.broken,
        measure.observed,
        measure.threshold,
        measure.applies,
        _ends_at(rule, tries, memory) if measure.broken else None,
        rule.violation,
    )


def _judged(rule: _Pattern, tries: Sequence[Try]) -> _Measure:
    newest = tries[-1]
    counted = _counted(rule, tries)
    measure = _measure(rule, counted, newest)
    if counted and counted[-1] is newest:
        return measure
    return replace(measure, broken=False)


def _counted(rule: _Pattern, tries: Sequence[Try]) -> list[Try]:
    since = tries[-1].at - rule.window_ms
    replays = isinstance(rule, VolumeRule | IdenticalRule)
    return [
        each
        for each in evidence(tries)
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


def _ends_at(rule: _Pattern, tries: Sequence[Try], memory: Memory) -> int | None:
    """Return from when on the newest try would break the rule no more, were it made again.

    Between the moments at which something is forgotten or an appointment comes
    due nothing changes, except that an interval grows: see `_out_of_step`.
    """
    newest = tries[-1]
    moments = {
        moment
        for each in tries
        for moment in (each.told, each.at + rule.window_ms, each.at + memory.window_ms)
    }
    if isinstance(rule, TimingRule):
        moments |= _out_of_step(rule, _gaps(_counted(rule, tries)), newest.at)
    times = sorted(moment for moment in moments if moment > newest.at)

    def mended(time: int) -> bool:
        return not _judged(rule, added(tries, replace(newest, at=time), memory)).broken

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
