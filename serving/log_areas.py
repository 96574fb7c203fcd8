"""What can be debugged apart: which area each logger of ours belongs to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = "*"

AREAS: dict[str, tuple[str, ...]] = {
    "http": ("gateway",),
    "rpc": (
        "serving.interceptor",
        "serving.rpc_client",
        "serving.shedding",
        "serving.unserved",
    ),
    "identity": ("tokenservice.identity", "tokenservice.admission", "tokenservice.client_info"),
    "issuing": ("tokenservice",),
    "policy": ("policy", "tokenservice.policy_client"),
    "upstream": ("tokenservice.gemini", "tokenservice.upstream_calls"),
    "store": (
        "policy.degraded",
        "policy.redis",
        "serving.redis",
        "tokenservice.identity.redis_rows",
        "tokenservice.identity.sqlite_rows",
    ),
    "ledger": ("tokenservice.ledger",),
    "telemetry": (
        "gateway.tracing",
        "serving.keeping",
        "serving.late_spans",
        "serving.measuring",
        "serving.metrics",
        "serving.sampling",
        "serving.scraping",
        "serving.sdk_logs",
        "serving.telemetry",
        "serving.trace_context",
        "serving.tracing",
    ),
    "process": (
        "serving",
        "__main__",
        "gateway.__main__",
        "policy.__main__",
        "tokenservice.__main__",
    ),
}
"""Names of loggers, each with all below it, but for those that stand here themselves."""

_BY_NAME = {name: area for area, names in AREAS.items() for name in names}


def parse(names: Iterable[str]) -> tuple[str, ...]:
    """Return areas by their names, each once; `*` is all.

    Raises:
        ValueError: One that there is not; it says which there are.

    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name != ALL and name not in AREAS:
            raise ValueError(f"no area {name[:40]!a}; there are {', '.join(AREAS)}, and * for all")
    return tuple(AREAS) if ALL in chosen else chosen


def of_logger(name: str) -> str | None:
    """Return the area of a logger; None: it is not ours."""
    while name:
        if name in _BY_NAME:
            return _BY_NAME[name]
        name = name.rpartition(".")[0]
    return None


def debugging(logger: str) -> bool:
    """Return whether anybody hears debug lines of a logger: to be asked before each.

    Where logs are not configured, as in operators' commands, structlog would print them.
    """
    return logging.getLogger(logger).isEnabledFor(logging.DEBUG)


def switch(chosen: Iterable[str], level: int) -> None:
    """Let everything of the `chosen` areas pass, and of the others what `level` has pass."""
    on = frozenset(chosen)
    for name, area in _BY_NAME.items():
        logging.getLogger(name).setLevel(min(level, logging.DEBUG) if area in on else level)
