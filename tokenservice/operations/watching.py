"""Watching the service at work: a moment each second, for a few at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from serving.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from serving.clock import Clock
    from serving.recent import Quantiles
    from tokenservice.operations.activity import Activity

MAX_WATCHERS = 8


class TooManyWatchers(Unavailable):
    """As many watch as may."""

    reason = "TOO_MANY_WATCHERS"
    message = f"{MAX_WATCHERS} operators are watching already; try again later."
    retry_after: float | None = 30.0


class Load(Protocol):
    """How busy the process is."""

    @property
    def taken(self) -> int:
        """Calls at work."""
        ...

    @property
    def capacity(self) -> int:
        """How many may be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The service at a time; counts are of the `period_ms` before it."""

    at: int
    """In milliseconds since the epoch."""
    period_ms: int
    instance: str
    started_at: int
    issued: int
    replayed: int
    refused: Mapping[str, int]
    """By reason; none without refusals."""
    hops: Mapping[str, Quantiles]
    dependencies: Mapping[str, str]
    active: int
    capacity: int


class Watching:
    """Shows what happens to those who watch."""

    def __init__(
        self,
        activity: Activity,
        load: Load,
        dependencies: Callable[[], Mapping[str, str]],
        clock: Clock,
        stop: asyncio.Event,
        *,
        interval: float = 1.0,
        lasting: float = 300.0,
    ) -> None:
        """Show a moment each `interval` seconds, to nobody for more than `lasting` seconds."""
        self._activity = activity
        self._load = load
        self._dependencies = dependencies
        self._clock = clock
        self._stop = stop
        self._interval = interval
        self._lasting = lasting
        self._watchers = 0

    async def moments(self) -> AsyncGenerator[Moment, None]:
        """Yield a moment at once, and then one each interval, until it is time to leave.

        Whoever takes them slowly gets fewer, of longer periods.

        Raises:
            TooManyWatchers: There are as many as there may be.

        """
        if self._watchers >= MAX_WATCHERS:
            raise TooManyWatchers
        self._watchers += 1
        try:
            ends = asyncio.get_running_loop().time() + self._lasting
            now = self._clock()
            seen = _Seen(self._activity, now)
            yield self._moment(seen, now)
            while asyncio.get_running_loop().time() < ends and not await self._stopping():
                yield self._moment(seen, self._clock())
        finally:
            self._watchers -= 1

    async def _stopping(self) -> bool:
        """Wait for an interval; return whether the service ends meanwhile."""
        try:
            async with asyncio.timeout(self._interval):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    def _moment(self, seen: _Seen, now: int) -> Moment:
        activity = self._activity
        period_ms, issued, replayed, refused = seen.advance(now)
        return Moment(
            at=now,
            period_ms=period_ms,
            instance=activity.instance,
            started_at=activity.started_at,
            issued=issued,
            replayed=replayed,
            refused=refused,
            hops={name: hop.quantiles() for name, hop in activity.hops.items()},
            dependencies=self._dependencies(),
            active=self._load.taken,
            capacity=self._load.capacity,
        )


class _Seen:
    """What a watcher has been told."""

    def __init__(self, activity: Activity, now: int) -> None:
        self._activity = activity
        self._totals = self._read(now)

    def advance(self, now: int) -> tuple[int, int, int, Mapping[str, int]]:
        """Return what is new: milliseconds, tokens issued and replayed, refusals by reason."""
        at, issued, replayed, refused = self._totals
        self._totals = new = self._read(now)
        return new[0] - at, new[1] - issued, new[2] - replayed, new[3] - refused

    def _read(self, now: int) -> tuple[int, int, int, Counter[str]]:
        activity = self._activity
        return now, activity.issued, activity.replayed, Counter(activity.refused)
