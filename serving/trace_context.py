"""What a request's headers say about its trace, by W3C Trace Context, level 2.

A `traceparent` that is malformed or there more than once restarts the trace, and
`tracestate` goes with it (3.2.2.5, 4.3). Several `tracestate` fields are one list
(RFC 9110, 5.3). Of that, a member that is none, or has the key of one before it,
is left out (4.3); a list of more than 32 members is none (3.3.1.1); one that is
longer than 512 characters is shortened as 3.3.1.5 has it. Whatever else
`tracestate` may be, it does not keep `traceparent` from continuing.

Baggage is none of this: the edge trusts no one's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_NAMES = frozenset({TRACEPARENT, TRACESTATE})
# Of a version that is not known yet, the first four fields are read (4.3); ff is none.
_TRACEPARENT = re.compile(
    r"(?:00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[ -~]{0,200})?)"
)
_NO_ID = re.compile(r"..-(?:0{32}-|.{32}-0{16}-)")
_KEY = r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_MAX_STATE = 512
_MAX_MEMBERS = 32
_LONG_MEMBER = 128


def carrier(entries: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the trace context of headers or metadata, names in lower case; empty: none."""
    found: dict[str, list[str]] = {}
    for name, value in entries:
        if name in _NAMES and isinstance(value, str):
            found.setdefault(name, []).append(value)
    parents = found.get(TRACEPARENT)
    parent = parents[0].strip(" \t") if parents and len(parents) == 1 else ""  # HTTP's own
    if not _continues(parent):
        return {}
    context = {TRACEPARENT: parent}
    if state := _state(",".join(found.get(TRACESTATE, ()))):
        context[TRACESTATE] = state
    return context


def _continues(parent: str) -> bool:
    return bool(_TRACEPARENT.fullmatch(parent)) and not _NO_ID.match(parent)


def _state(text: str) -> str:
    """Return the list that goes on; empty: none does."""
    members: dict[str, str] = {}
    count = 0
    for each in text.split(","):
        member = each.strip(" \t")
        count += bool(member)  # an empty one is allowed, and is none
        if found := _MEMBER.fullmatch(member):
            members.setdefault(found[1], member)
    return "" if count > _MAX_MEMBERS else _shortened(list(members.values()))


def _shortened(members: list[str]) -> str:
    """Return a list that fits: first without long members, then without the oldest."""
    if len(",".join(members)) > _MAX_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > _MAX_STATE:
        members.pop()
    return ",".join(members)
