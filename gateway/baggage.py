"""`baggage` of a caller: the members that an operator has named, and no others.

Anybody can write baggage, so by default none is taken. What is taken goes to
tokenservice and ends there, whose propagator knows trace context alone.
"""

import re
from collections import Counter
from collections.abc import Iterable

from starlette.datastructures import Headers

NAME = "baggage"
MAX_BYTES = 512
"""What all that goes on may have together; the limits of W3C Baggage are for what is read."""

_MAX_READ_BYTES = 8_192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word
KEY = re.compile(_TOKEN)
_SPACE = r"[ \t]*+"  # possessive: what is tried in one way only takes no more than linear time
_MEMBER = re.compile(rf"{_SPACE}({_TOKEN}){_SPACE}={_SPACE}([!#-+\--:<-\[\]-~]*){_SPACE}(?:;.*)?")


def taken(headers: Headers, keys: frozenset[str]) -> str:
    """Return the members of all `baggage` headers whose key is one of `keys`, as one header.

    Dropped are members that are malformed (W3C Baggage, 3.2.1), properties, keys
    that are there twice, since the next reader might take the other, and all
    that goes beyond MAX_BYTES. Baggage is never a reason to refuse a request.
    """
    if not keys:
        return ""
    value = ",".join(headers.getlist(NAME))
    if len(value) > _MAX_READ_BYTES:
        return ""
    found = [member.groups() for member in map(_MEMBER.fullmatch, value.split(",")) if member]
    counts = Counter(key for key, _ in found)
    return _within(f"{key}={text}" for key, text in found if key in keys and counts[key] == 1)


def _within(members: Iterable[str]) -> str:
    kept = ""
    for member in members:
        longer = f"{kept},{member}" if kept else member
        if len(longer) <= MAX_BYTES:
            kept = longer
    return kept
