"""What a user's tries amount to. Pure.

A grant is never evidence, for it is no try (policy.tries). Nor is a refusal as
such: a client cannot know a limit before it has met it. What counts is what a
client does that was told better:

- It comes before it was told to. Each refusal makes an appointment: "from T on".
  A try from T on keeps one, whoever made it; a try that has none to keep, while
  one is still to come, did not wait. So a user's tabs and workers, each waiting as
  it was told, are not in one another's way from their second try on: policy cannot
  tell them apart and need not. But the first try of each may fall into another's
  wait, and counts if that began a second or more before: of more than a rule's
  `known` that start within one wait, these can add up to a pattern.
- It sends what is refused for its content, or one request id with two contents.
- For volume alone: it has the same answer repeated to it. A repeat is alike by
  definition, and what request ids are for.

A rule is broken only by a try that itself counts.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
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
from policy.tries import Try, TryKind, added

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from policy.rules import Rules

ARRIVAL_MS = 1_000
"""How long an answer may take to reach its caller: until then nobody was told anything."""

MOST_AT_ONCE = 64
"""Tries that may be made before an answer arrives. Without it, a flood fast enough to push
its own first refusal out of memory within `ARRIVAL_MS` would never count."""

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
    known = added(tries[:-1], tries[-1], rules.memory) if tries else ()
    counted = evidence(known)
    return [
        _finding(name, rule, known, counted)
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
    due = unheard = 0
    # Asking again for what is still at work is what request ids are for, and the
    # lease is the longest that it can take: few callers wait for it.
    for each in (each for each in tries if not (each.told and each.kind is TryKind.BUSY)):
        told, at = each.told, each.at
        while to_come and to_come[0] <= at:
            heappop(to_come)
            due += 1
        while binding and binding[0].told <= at:
            binding.popleft()
        if not binding:
            unheard = 0
        if each.kind is not TryKind.REFUSED:
            counted.append(each)
        elif due:
            due -= 1
        elif binding:
            unheard += 1
            if unheard > MOST_AT_ONCE or binding[0].at + ARRIVAL_MS <= at:
                counted.append(each)
        if told:
            heappush(to_come, told)
            binding.append(each)
    return counted


def _finding(name: Rule, rule: _Pattern, tries: Sequence[Try], counted: Sequence[Try]) -> Finding:
    if rule.mode is Mode.OFF or not tries:
        return Finding(name, rule.mode, broken=False, applies=False, violation=rule.violation)
    newest = tries[-1]
    looked_at = _looked_at(rule, newest, counted)
    measure = _measure(rule, looked_at, newest)
    broken = measure.broken and looked_at[-1] is newest
    return Finding(
        name,
        rule.mode,
        broken,
        measure.observed,
        measure.threshold,
        measure.applies,
        _ends_at(rule, newest, looked_at) if broken else None,
        rule.violation,
    )


def _looked_at(rule: _Pattern, newest: Try, counted: Sequence[Try]) -> list[Try]:
    since = newest.at - rule.window_ms
    replays = isinstance(rule, VolumeRule)
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


def _ends_at(rule: _Pattern, newest: Try, looked_at: Sequence[Try]) -> int:
    """Return from when on the same try would not break the rule.

    What a limit refused keeps its appointment then, and is no evidence. Anything
    else waits until enough is forgotten for there to be no pattern at all.
    """
    if newest.kind is TryKind.REFUSED and newest.told:
        return newest.told
    match rule:
        case VolumeRule():
            return _fewer_than(rule.most, looked_at) + rule.window_ms
        case IdenticalRule():
            same = [each for each in looked_at if each.fingerprint == newest.fingerprint]
            return rule.window_ms + min(
                _fewer_than(rule.most, same), _fewer_than(rule.known - 1, looked_at)
            )
        case EnumerationRule():
            return _fewer_than(rule.known - 1, looked_at) + rule.window_ms
        case TimingRule():
            return _fewer_than(rule.known, looked_at) + rule.window_ms


def _fewer_than(most: int, tries: Sequence[Try]) -> int:
    """Return the time of the try whose leaving makes room for one more among `most`."""
    return sorted(each.at for each in tries)[len(tries) - most]  # the clock may have stepped
