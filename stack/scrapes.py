"""Where each process of the stack is scraped: on a port of its own, unless nobody wants that."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXPORTER = "OTEL_METRICS_EXPORTER"
PORT = "OTEL_EXPORTER_PROMETHEUS_PORT"
FIRST_PORT = 9464
_HOST = "OTEL_EXPORTER_PROMETHEUS_HOST"
_DISABLED = "OTEL_SDK_DISABLED"
_ROLES = ("gateway", "tokenservice", "policy")
_TRIES = 100


def ports(
    environment: Mapping[str, str], first: int, taken: Iterable[int], *, host: str
) -> dict[str, int]:
    """Return a port for each process: those from `first` on, and others where one is in use.

    None, if the user's `environment` says that nothing is to be scraped.
    """
    wanted = [word.strip() for word in (environment.get(EXPORTER) or "prometheus").split(",")]
    if "prometheus" not in wanted or environment.get(_DISABLED, "").strip().lower() == "true":
        return {}
    used = set(taken)
    found: dict[str, int] = {}
    for number, role in enumerate(_ROLES):
        usual = (first + number, *range(first + len(_ROLES), first + _TRIES))
        found[role] = next(
            (each for each in usual if each not in used and _is_free(host, each)), usual[0]
        )
        used.add(found[role])
    return found


def environment(given: Mapping[str, str], port: int | None) -> dict[str, str]:
    """Return what has a process scraped at `port`; a collector, if one is named, gets it too."""
    if port is None:
        return {}
    return {EXPORTER: given.get(EXPORTER) or "otlp,prometheus", PORT: str(port)}


def url(given: Mapping[str, str], host: str, port: int) -> str:
    """Return where to scrape."""
    return f"http://{given.get(_HOST) or host}:{port}/metrics"


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError):
        return False
    return True
