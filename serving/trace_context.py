"""What a request's headers say about its trace, by W3C Trace Context.

A `traceparent` that is malformed or there more than once restarts the trace, and
`tracestate` goes with it (3.2.2.5, 4.3). Several `tracestate` fields are one list
(RFC 9110, 5.3); what is too long for it is shortened as 3.3.1.5 has it. Whatever
else `tracestate` may be, it does not keep `traceparent` from continuing.

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
_TRACESTATE = re.compile(r"[\t -~]*")
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
    if not parents or len(parents) > 1 or not _TRACEPARENT.fullmatch(parents[0]):
        return {}
    context = {TRACEPARENT: parents[0]}
    if state := _shortened(",".join(found.get(TRACESTATE, ()))):
        context[TRACESTATE] = state
    return context


def _shortened(state: str) -> str:
    """Return a list that fits: first without long members, then without the oldest."""
    if not _TRACESTATE.fullmatch(state):
        return ""
    if len(state) <= _MAX_STATE and state.count(",") < _MAX_MEMBERS:
        return state
    members = [member for each in state.split(",") if (member := each.strip())][:_MAX_MEMBERS]
    if len(",".join(members)) > _MAX_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > _MAX_STATE:
        members.pop()
    return ",".join(members)
