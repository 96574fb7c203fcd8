"""One thing that our transcoder does differently from Envoy's."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One decision: what Envoy does, what we do, and why.

    `change` tells in what the sides differ first: the two statuses, Envoy's
    first; or `request`, what reached the server; `answer`, its JSON or bytes;
    `type`, its media type; `ending`, whether it broke off. `cases` are patterns
    of the whole names of cases.
    """

    what: str
    envoy: str
    ours: str
    why: str
    change: str
    cases: tuple[str, ...]

    def explains(self, change: str, case: str) -> bool:
        """Return whether this is why a case came out so."""
        return change == self.change and any(fits(pattern, case) for pattern in self.cases)


def fits(pattern: str, case: str) -> bool:
    """Return whether a pattern is of a case."""
    return re.fullmatch(pattern, case, re.DOTALL) is not None
