"""What became of requests in this process, as counts that only grow, and how long it took.

One call for each thing that happens, cheap enough for the hot path; who watches takes
the differences, so that nobody's slowness keeps anything.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

from serving import metrics
from serving.instruments import OTHER
from serving.recent import RecentDurations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.clock import Clock
    from tokenservice.issuer import IssuedToken

TOKENSERVICE = "tokenservice"
POLICY = "policy"
GEMINI = "gemini"
_MAX_REASONS = 64


class Activity:
    """Counts since the start of the process."""

    def __init__(self, clock: Clock) -> None:
        """Begin now, by `clock`."""
        self.instance = secrets.token_hex(8)
        """Names the process, anew at each of its starts."""
        self.started_at = clock()
        self.issued = 0
        self.replayed = 0
        self.refused: Counter[str] = Counter()
        """By reason."""
        self.hops: Mapping[str, RecentDurations] = {
            name: RecentDurations(clock) for name in (TOKENSERVICE, POLICY, GEMINI)
        }
        """How long each part of the way took, in the order in which it is gone."""

    def delivered(self, issued: IssuedToken) -> None:
        """Count a token that may go to its caller, who may have gone."""
        if issued.repeated:
            self.replayed += 1
        else:
            self.issued += 1
        counter = metrics.REPLAYED if issued.repeated else metrics.ISSUED
        counter.add(model=issued.model, tier=issued.tier or None)

    def refuse(self, reason: str) -> None:
        """Count a request that got none: of reasons, there are few, as in the answers."""
        metrics.REFUSED.add(reason=reason)
        if reason not in self.refused and len(self.refused) >= _MAX_REASONS:
            reason = OTHER
        self.refused[reason] += 1
