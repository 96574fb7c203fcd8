"""Rules, alerts and dashboards in a world where time runs faster: a minute may be a second.

Only windows of time change: ranges, steps of subqueries and offsets of queries, and how long
an alert must hold. Numbers stay, also those that are seconds: a bound of a bucket, an age, and
what is compared with a rate, which is per second of the fast world as well. So queries that
turn a rate into a count by hand (`rate(…) * 900`) are more easily true than at real speed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_TERM = r"(\d+)(ms|[smhdwy])"
_DURATION = re.compile(rf"(?:{_TERM})+")
_WINDOWS = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<range>\[[^\]]*\])"
    rf"|(?P<offset>\boffset\s+-?\s*(?:{_TERM})+)"
)
_RULE_TIMES = ("for", "keep_firing_for")
_GROUP_TIMES = ("interval",)
_SCRAPES_IN_RATE_INTERVAL = 4


@dataclass(frozen=True)
class TimeLapse:
    """How much faster time runs, and how often is scraped."""

    speed: float
    """How many seconds pass in one."""
    scrape_seconds: float
    """Seconds, of ours, between two scrapes."""

    def duration(self, text: str) -> str:
        """Return a duration of Prometheus', such as `1h30m`, as it is in this world.

        Raises:
            ValueError: It is none.

        """
        if text != "0" and not _DURATION.fullmatch(text):
            raise ValueError(f"no duration: {text}")
        milliseconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(_TERM, text))
        scaled = round(milliseconds / self.speed)
        return f"{max(scaled, min(milliseconds, 1))}ms"

    def query(self, expression: str) -> str:
        """Return a query with its windows in this world; of Grafana's variables, the interval."""
        return _WINDOWS.sub(self._window, expression)

    def rules(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return a file of rules, as it was read."""
        return {**content, "groups": [self._group(group) for group in content["groups"]]}

    @property
    def rate_interval(self) -> str:
        """What Grafana puts in place of `$__rate_interval`, for steps that are no longer."""
        return f"{round(1000 * self.scrape_seconds * _SCRAPES_IN_RATE_INTERVAL)}ms"

    def _group(self, group: Mapping[str, Any]) -> dict[str, Any]:
        rules = [
            {**self._times(rule, _RULE_TIMES), "expr": self.query(rule["expr"])}
            for rule in group["rules"]
        ]
        return {**self._times(group, _GROUP_TIMES), "rules": rules}

    def _times(self, fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        changed = {name: self.duration(fields[name]) for name in names if name in fields}
        return {**fields, **changed}

    def _window(self, found: re.Match[str]) -> str:
        text = found[0]
        if found.lastgroup in {"string", "comment"}:
            return text
        known = text.replace("$__rate_interval", self.rate_interval)
        if known != text:
            return known
        return _DURATION.sub(lambda duration: self.duration(duration[0]), text)
