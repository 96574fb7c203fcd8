"""Read the `Accept` header: RFC 9110, 12.5.1."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = rf"[ \t]*;[ \t]*(?:{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))?"
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})((?:{_PARAMETER})*)")
_WEIGHT = re.compile(r";[ \t]*q=([^ \t;]*)", re.IGNORECASE)
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)+|[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """What a client takes, and how gladly: `quality` is 0 (not at all) to 1."""

    type: str
    subtype: str
    quality: float = 1.0

    def specificity(self, media_type: str) -> int:
        """Return how closely this means `media_type`: 3 exactly, 2 its type, 1 any, 0 not."""
        wanted, _, subtype = media_type.partition("/")
        if (self.type, self.subtype) == (wanted, subtype):
            return 3
        if self.subtype != "*":
            return 0
        return {wanted: 2, "*": 1}.get(self.type, 0)


ANYTHING = (MediaRange("*", "*"),)
"""What a client takes that does not say."""


def parse(lines: Iterable[str]) -> tuple[MediaRange, ...]:
    """Return the media ranges of all lines of an `Accept` header.

    No header, an empty one, and one that is malformed all mean anything: a
    client that cannot say what it takes had better get something. Parameters
    but `q` do not count, for no media type here has any that matters.
    """
    value = ",".join(lines).strip(" \t,")
    ranges = []
    position = 0
    while position < len(value):
        found = _RANGE.match(value, position)
        if found is None or (one := _media_range(found)) is None:
            return ANYTHING
        ranges.append(one)
        end = _SEPARATOR.match(value, found.end())
        if end is None:
            return ANYTHING
        position = end.end()
    return tuple(ranges) or ANYTHING


def quality(ranges: Iterable[MediaRange], media_type: str) -> float:
    """Return how gladly `media_type` is taken: as the range says that means it most closely."""
    matching = [(one.specificity(media_type), one.quality) for one in ranges]
    closest, best = max(matching, default=(0, 0.0))
    return best if closest else 0.0


def names(ranges: Iterable[MediaRange], media_type: str) -> bool:
    """Return whether `media_type` is named itself, not only by a range with `*`."""
    return any(f"{one.type}/{one.subtype}" == media_type for one in ranges)


def _media_range(found: re.Match[str]) -> MediaRange | None:
    kind, subtype, parameters = found[1].lower(), found[2].lower(), found[3]
    if kind == "*" and subtype != "*":
        return None
    weight = _WEIGHT.search(parameters)
    if weight is None:
        return MediaRange(kind, subtype)
    return MediaRange(kind, subtype, float(weight[1])) if _QVALUE.fullmatch(weight[1]) else None
