"""A stack that callers use while a real Prometheus watches it: both, and what they are asked.

What happens in a phase is asked for as the highest, or the sum, of all that was in it: no
answer depends on when it is asked.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from client import new_user
from observability import DASHBOARDS, dashboard, dashboard_queries
from servers_waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from client import Answer, Caller
    from otlp import Receiver
    from prometheus_process import Prometheus
    from servers import ValkeyServer
    from servers_proxy import Proxy
    from time_lapse import TimeLapse

    from stack.supervisor import Stack

_FIRING = 'ALERTS{alertstate="firing"}'
_PATIENCE = 180
"""How many scrapes anything may take: one and a half of its hours."""


@dataclass
class Tally:
    """What callers were answered, as they count it themselves."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Of refusals of requests for a token, as clients read them."""
    traces: set[str] = field(default_factory=set)
    repeats: int = 0
    """Tokens that were delivered once more."""

    def note(self, answer: Answer) -> Answer:
        """Note an answer to a request for a token."""
        self.statuses[str(answer.status)] += 1
        if answer.status != 200:
            self.reasons[answer.body["code"]] += 1
        self.traces.add(answer.headers["x-trace-id"])
        return answer


@dataclass
class Observed:
    """The running stack, who calls it, and who watches it."""

    stack: Stack
    client: Caller
    store: ValkeyServer
    prometheus: Prometheus
    collector: Proxy
    spans: Receiver
    """What comes to the collector."""
    lapse: TimeLapse
    tally: Tally = field(default_factory=Tally)
    private: list[str] = field(default_factory=list)
    """Subjects and addresses that callers had."""
    began: float = 0.0
    """When this phase began, by Prometheus' clock."""

    async def ask(self, subject: str = "", *, address: str = "192.0.2.1", **request: Any) -> Answer:
        """Ask for a token: as a user that nobody was before, unless one is named."""
        subject = subject or new_user()
        self.private += [subject, address]
        headers = {"X-Forwarded-For": address, **request.pop("headers", {})}
        if "Authorization" not in headers:
            headers["Authorization"] = self.client.bearer(subject)
        return self.tally.note(await self.client.call(headers=headers, **request))

    async def granted(self, subject: str = "") -> Answer:
        """Ask for a token, and get one."""
        answer = await self.ask(subject)
        assert answer.status == 200, answer.body
        return answer

    async def begin(self) -> float:
        """Begin a phase, and return when: what rings from now on is of it."""
        self.began = await self.prometheus.value("time()")
        return self.began

    async def so(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so, which is asked twice between two scrapes."""
        scrape = self.lapse.scrape_seconds
        await until(holds, _PATIENCE * scrape, what, every=scrape / 2)

    async def lasted(self, *, minutes: float) -> None:
        """Wait until this phase is so old, in Prometheus' minutes."""

        async def old_enough() -> bool:
            return self._age() * self.lapse.speed >= minutes * 60_000

        await self.so(f"{minutes:g} minutes are over", old_enough)

    async def becomes(self, query: str, wanted: float) -> None:
        """Wait until a query has that value."""
        seen: float | None = None

        async def equal() -> bool:
            nonlocal seen
            seen = await self.prometheus.value(query)
            return seen == wanted

        try:
            await self.so(f"{query} is {wanted:g}", equal)
        except TimeoutError as error:
            raise AssertionError(f"{query} is {seen}, not {wanted:g}") from error

    async def ringing(self) -> set[str]:
        """Return which alerts are firing, as `name/severity`."""
        alerts = await self.prometheus.alerts()
        return {f"{each.name}/{each.severity}" for each in alerts if each.state == "firing"}

    async def rang(self) -> set[str]:
        """Return which alerts have been firing at any time of this phase."""
        query = f"count by (alertname, severity) ({self.within(_FIRING, 'last_over_time')})"
        found = await self.prometheus.query(query)
        return {f"{each.labels['alertname']}/{each.labels['severity']}" for each in found}

    async def until_ringing(
        self, *alerts: str, meanwhile: Callable[[], Awaitable[Any]] | None = None
    ) -> None:
        """Wait until all of `alerts` have been ringing in this phase, doing something meanwhile."""

        async def all_rang() -> bool:
            if meanwhile:
                await meanwhile()
            return set(alerts) <= await self.rang()

        await self.so(f"{', '.join(alerts)} ring", all_rang)
        for alert in await self.prometheus.alerts():
            assert "<error" not in repr(alert.annotations), "its texts can be rendered"

    async def reached(self) -> bool:
        """Whether Prometheus has reached all roles, all the time of this phase."""
        return await self.prometheus.value(f"min({self.within('up', 'min_over_time')})") == 1

    async def until_silent(
        self, *but: str, meanwhile: Callable[[], Awaitable[Any]] | None = None
    ) -> None:
        """Wait until no alert is ringing, but for those."""

        async def silent() -> bool:
            if meanwhile:
                await meanwhile()
            return not await self.ringing() - set(but)

        await self.so(f"nothing but {', '.join(but) or 'nothing'} rings", silent)

    def within(self, query: str, function: str = "max_over_time") -> str:
        """Return a query for what `query` was in this phase; by default, its highest."""
        step = round(1000 * self.lapse.scrape_seconds)
        return f"{function}(({query})[{self._age()}ms:{step}ms])"

    async def integral(self, query: str) -> float:
        """Return what a rate amounts to in this phase."""
        total = await self.prometheus.value(self.within(self.shown(query), "sum_over_time"))
        return total * self.lapse.scrape_seconds

    async def highest(self, board: str, title: str, label: str = "") -> dict[str, float]:
        """Return what a panel showed at its highest in this phase, by a label."""
        (query, *_) = (q for b, t, q in panel_queries() if (b, t) == (board, title))
        return await self.prometheus.by(label, self.within(self.shown(query)))

    def shown(self, query: str) -> str:
        """Return a dashboard's query as Grafana sends it with all roles and instances chosen."""
        return self.lapse.query(query.replace("$job", ".*").replace("$instance", ".*"))

    def _age(self) -> int:
        return max(1, round(1000 * (time.time() - self.began)))


def panel_queries() -> list[tuple[str, str, str]]:
    """Return each query of each dashboard: its dashboard, where it stands there, itself."""
    return [
        (path.stem, title, query)
        for path in DASHBOARDS
        for title, query, _ in dashboard_queries(dashboard(path))
    ]
