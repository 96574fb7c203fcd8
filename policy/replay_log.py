"""Reads the decision log again: what `policy.record` wrote, as typed values."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from policy.decisions import Attempt
from policy.record import FORMAT
from policy.rules import Rule
from policy.standing import Offender, Party

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policy.record import Entry


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, or a reported try."""

    at: int
    decision_id: str
    outcome: str
    lease_until: int | None
    attempt: Attempt
    address: str | None
    fingerprint: bytes
    count: int
    tier: str
    headers: frozenset[str] | None
    suspicious: bool | None
    """What the rule about content found. None: it did not look."""
    shadow: tuple[str, ...]
    """Rules that were broken in shadow mode."""
    degraded: bool
    policy: str
    reported: bool
    """Whether the try ended before policy was asked."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Wrong credentials, from an address that is held to account for them, or None."""

    at: int
    address: str | None
    evidence: bytes = b""
    """What tells them from others. Empty: the log does not say."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit."""

    at: int
    attempt: Attempt
    count: int
    expires: int
    sealed_until: int | None
    committed: bool


@dataclass(frozen=True, slots=True)
class Released:
    """A release."""

    at: int
    attempt: Attempt
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What an operator did."""

    at: int
    event: str
    offender: Offender
    until: int
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Started:
    """A process that started, and whether it knew of nothing."""

    at: int
    empty: bool


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no entry."""

    at: int
    where: str
    why: str


_MAX_TIME_MS = 253_402_300_799_999
"""The year 9999."""

Logged = Decided | Credentials | Commit | Released | Changed | Started
Line = Logged | Malformed


def merged(logs: Iterable[Iterable[Line]]) -> Iterator[Line]:
    """Return the lines of several logs as one, in order of time: rotated files, or replicas."""
    return heapq.merge(*logs, key=lambda line: line.at)


def read(lines: Iterable[str], name: str) -> Iterator[Line]:
    """Return what each line of the log of that name says."""
    at = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            logged = _logged(json.loads(line))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            yield Malformed(at, f"{name}:{number}", _why(error))
        else:
            at = logged.at
            yield logged


def _why(error: Exception) -> str:
    """Say what is wrong without repeating the line."""
    match error:
        case json.JSONDecodeError():
            return "it is no JSON"
        case KeyError():
            return f"it has no {error.args[0]}"
        case _Unknown():
            return str(error)
        case _:
            return "a field is not what it must be"


class _Unknown(ValueError):
    """An entry of a kind that is not known here."""


def _logged(entry: Entry) -> Logged:
    if _is(dict, entry)["v"] != FORMAT:
        raise _Unknown(f"its format is not {FORMAT}")
    at = _is(int, entry["at"])
    if not 0 <= at <= _MAX_TIME_MS:
        raise _Unknown("its time is none")
    match entry["event"]:
        case "decision" | "rejected":
            return _decided(entry, at)
        case "credentials":
            address = entry["address"] if entry["findings"] else None
            return Credentials(
                at,
                None if address is None else _is(str, address),
                bytes.fromhex(entry.get("fingerprint", "")),
            )
        case "commit":
            sealed_until = entry.get("sealed_until")
            return Commit(
                at,
                _attempt(entry),
                _is(int, entry["count"]),
                _is(int, entry["expires"]),
                None if sealed_until is None else _is(int, sealed_until),
                entry["outcome"] == "committed",
            )
        case "release":
            return Released(at, _attempt(entry), _is(bool, entry["ambiguous"]))
        case "block_added" | "block_lifted" | "user_reset" as event:
            offender = Offender(Party(entry["party"]), _is(str, entry["name"]))
            until = _is(int, entry["until"]) if event == "block_added" else 0
            return Changed(
                at, event, offender, until, _is(str, entry["reason"]), _is(str, entry["actor"])
            )
        case "started":
            return Started(at, entry["store"] == "memory")
        case _:
            raise _Unknown("its event is not known")


def _decided(entry: Entry, at: int) -> Decided:
    findings = {_is(str, found["rule"]): found for found in entry["findings"]}
    content = findings.get(Rule.SUSPICIOUS_CONTENT)
    headers, lease, address = entry["headers"], entry["lease_until"], entry["address"]
    return Decided(
        at=at,
        decision_id=_is(str, entry["decision_id"]),
        outcome=_is(str, entry["outcome"]),
        lease_until=None if lease is None else _is(int, lease),
        attempt=_attempt(entry),
        address=None if address is None else _is(str, address),
        fingerprint=bytes.fromhex(entry["fingerprint"]),
        count=_is(int, entry["count"]),
        tier=_is(str, entry["asked_tier"] or entry["tier"]),
        headers=None if headers is None else frozenset(_is(list, headers)),
        suspicious=None if content is None else _is(bool, content["broken"]),
        shadow=tuple(r for r, f in findings.items() if f["broken"] and f["mode"] == "shadow"),
        degraded=_is(bool, entry["degraded"]),
        policy=_is(str, entry["policy"]),
        reported=entry["event"] == "rejected",
    )


def _attempt(entry: Entry) -> Attempt:
    return Attempt(
        _is(str, entry["user"]), bytes.fromhex(entry["request"]), bytes.fromhex(entry["owner"])
    )


def _is(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value
