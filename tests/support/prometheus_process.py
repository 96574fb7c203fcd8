"""A real Prometheus, for the length of a test, and a client of its API.

Debian's package `prometheus` has it; where there is none, tests that need it are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from servers_process import HOST, free_port, spawn
from servers_waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_EXECUTABLE = "prometheus"
_STOP_SECONDS = 10.0


class QueryError(Exception):
    """What Prometheus says of a query that it cannot answer."""


@dataclass(frozen=True)
class Sample:
    """One series of an instant query's answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    severity: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def query(self, expression: str) -> list[Sample]:
        """Ask for what `expression` is now.

        Raises:
            QueryError: It is no query, or cannot be answered.

        """
        data = await self._get("query", query=expression)
        if data["resultType"] in {"scalar", "string"}:
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def value(self, expression: str) -> float:
        """Ask for one number; what no series has is 0."""
        samples = await self.query(expression)
        if len(samples) > 1:
            raise QueryError(f"{expression} has {len(samples)} answers")
        return samples[0].value if samples else 0.0

    async def by(self, label: str, expression: str) -> dict[str, float]:
        """Ask for a number for each value of a label."""
        return {
            sample.labels.get(label, ""): sample.value for sample in await self.query(expression)
        }

    async def alerts(self) -> list[Alert]:
        """Return the alerts that are pending or firing."""
        return [
            Alert(
                each["labels"]["alertname"],
                each["labels"].get("severity", ""),
                each["state"],
                each["labels"],
                each["annotations"],
            )
            for each in (await self._get("alerts"))["alerts"]
        ]

    async def rules(self) -> list[Any]:
        """Return all rules, each with its health and its last error."""
        groups = (await self._get("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def targets(self) -> list[Any]:
        """Return what is scraped, each with its health and its last error."""
        return list((await self._get("targets", state="active"))["activeTargets"])

    async def series(self, matcher: str) -> list[Mapping[str, str]]:
        """Return the labels of all series, alive or not, that a selector finds."""
        return list(await self._get("series", **{"match[]": matcher}))

    async def exemplars(self, expression: str) -> list[Any]:
        """Return the exemplars of the series in a query, the last hour's."""
        found = await self._get("query_exemplars", query=expression, **await self._last_hour())
        return [exemplar for each in found for exemplar in each["exemplars"]]

    async def ready(self) -> bool:
        """Whether it answers queries."""
        async with self._http.get(f"{self.url}/-/ready") as answer:
            return answer.status == 200

    async def _last_hour(self) -> dict[str, str]:
        now = await self.value("time()")
        return {"start": str(now - 3600), "end": str(now + 60)}

    async def _get(self, path: str, **parameters: str) -> Any:
        async with self._http.get(f"{self.url}/api/v1/{path}", params=parameters) as answer:
            told = await answer.json()
        if told["status"] != "success":
            raise QueryError(f"{parameters or path}: {told['error']}")
        return told["data"]


def executable() -> str:
    """Return the path of Prometheus, or skip the test; in CI, fail it."""
    if (found := shutil.which(_EXECUTABLE)) is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Debian's package prometheus")
        pytest.skip("there is no prometheus; CI has it")
    return found


@asynccontextmanager
async def prometheus(
    place: Path,
    config: Mapping[str, Any],
    files: Mapping[str, Any],
    *,
    lookback: str = "5m",
    within: float = 60,
) -> AsyncIterator[Prometheus]:
    """Run Prometheus with `config`, and the rule files that it names beside it, until the end.

    It keeps exemplars, and its data in `place`. `lookback` is how old a sample may be that
    is still what a series is now.

    Raises:
        RuntimeError: It ended by itself; says why.
        TimeoutError: It was not ready within so many seconds.

    """
    command, port = executable(), free_port()
    for name, content in {"prometheus.yml": config, **files}.items():
        (place / name).write_text(json.dumps(content), encoding="utf-8")  # which YAML includes
    log = place / "prometheus.log"
    options = {
        "config.file": place / "prometheus.yml",
        "storage.tsdb.path": place / "data",
        "web.listen-address": f"{HOST}:{port}",
        "enable-feature": "exemplar-storage",
        "query.lookback-delta": lookback,
        "log.level": "warn",
    }
    process = spawn([command, *(f"--{name}={value}" for name, value in options.items())], log)
    try:
        async with aiohttp.ClientSession(trust_env=False) as http:
            server = Prometheus(f"http://{HOST}:{port}", http)
            await until(lambda: _ready(process, server, log), within, "Prometheus is ready")
            yield server
            assert process.poll() is None, f"Prometheus ended:\n{_said(log)}"
    finally:
        await asyncio.to_thread(_end, process)


async def _ready(process: subprocess.Popen[bytes], server: Prometheus, log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Prometheus ended:\n{_said(log)}")
    try:
        return await server.ready()
    except aiohttp.ClientError:
        return False


def _said(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
