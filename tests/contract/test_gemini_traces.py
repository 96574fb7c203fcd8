"""An attempt at Gemini: a span by the conventions, a duration, and retries that are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from metering import Measured
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from span_tap import said, tapped

from emulator.options import Options
from emulator.server import EmulatorServer
from serving import metrics, tracing
from serving.clock import steady_clock
from serving.errors import ServiceError
from tokenservice.deadline import Deadline
from tokenservice.gemini import GeminiMinter, GeminiOptions, gemini_client
from tokenservice.grant import Terms, TokenRequest
from tokenservice.models import catalogue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

MODEL = "gemini-3.8-live"
GRANT = Terms(
    catalogue=catalogue((MODEL,), MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=True,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
).grant(TokenRequest())
NAME = "POST auth_tokens"
COMMON = {
    tracing.GEN_AI_PROVIDER: "gcp.gemini",
    tracing.GEN_AI_OPERATION: "create_auth_token",
    tracing.GEN_AI_MODEL: MODEL,
    tracing.HTTP_METHOD: "POST",
    tracing.SERVER_ADDRESS: "127.0.0.1",
}


async def at_once(_seconds: float) -> None:
    """Wait no time."""


class Gemini:
    """An emulator, and a minter that asks it."""

    def __init__(self, emulator: EmulatorServer, minter: GeminiMinter) -> None:
        self._emulator = emulator
        self._minter = minter

    async def fault(self, *faults: dict[str, Any], target: str = "mint") -> None:
        """Order faults."""
        path = f"{self._emulator.base_url}/emulator/v1/faults/{target}"
        async with aiohttp.ClientSession() as http, http.post(path, json=list(faults)) as answer:
            assert answer.status < 300

    async def mint(self) -> str:
        """Mint inside a request; return the outcome."""
        lifetime = GRANT.lifetime(steady_clock()())
        with tracing.server_span("served", {}):
            try:
                await self._minter.mint(GRANT, lifetime, Deadline.after(20))
            except ServiceError as error:
                return error.reason
        return "OK"

    async def probe(self) -> None:
        """Ask what the watcher asks."""
        await self._minter.check(10)


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    """Run an emulator on a free port."""
    async with EmulatorServer(Options(port=0, tls_port=-1)) as emulator:
        options = GeminiOptions(api_key="emulator-key", base_url=emulator.base_url)
        options = replace(options, attempt_timeout=5)
        async with gemini_client(options) as client:
            yield Gemini(emulator, GeminiMinter(client, options, at_once))


async def test_a_mint_is_a_span_by_the_conventions(gemini: Gemini) -> None:
    """It says what was asked of whom, over what, and how it was answered; not the token."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        assert await gemini.mint() == "OK"
        minted = tap.named(NAME)
    assert minted.kind is SpanKind.CLIENT
    assert dict(said(minted)) == COMMON | {tracing.HTTP_STATUS: 200}
    assert minted.status.status_code is StatusCode.UNSET
    assert "auth_tokens/" not in minted.to_json()
    assert measured.more(metrics.UPSTREAM_DURATION, operation="create_auth_token") == 1
    assert measured.more(metrics.UPSTREAM_RETRIES) == 0


@pytest.mark.parametrize(
    "fault, error, status",
    [
        ({"status": 503}, "503", 503),
        ({"status": 429, "message": "quota of project 4711"}, "429", 429),
        ({"disconnect": True}, "ServerDisconnectedError", None),
        ({"emptyName": True}, "no_token", 200),
    ],
)
@pytest.mark.parametrize("sampled", [True, False])
async def test_an_attempt_that_fails_is_told(
    gemini: Gemini,
    fault: dict[str, Any],
    error: str,
    status: int | None,
    sampled: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """It is kept though its request was not sampled, and went well in the end."""
    await gemini.fault({**fault, "count": 1})
    measured = Measured()
    with tapped(**({"sampler": ALWAYS_ON} if sampled else {})) as tap:  # type: ignore[arg-type]
        assert await gemini.mint() == "OK"
        attempts = [span for span in tap.spans if span.name == NAME]
    assert len(attempts) == (2 if sampled else 1)
    first = attempts[0]
    answered = {} if status is None else {tracing.HTTP_STATUS: status}
    kept = {} if sampled else {tracing.KEPT: True}
    assert dict(said(first)) == COMMON | answered | kept | {tracing.ERROR_TYPE: error}
    assert first.status.status_code is StatusCode.ERROR
    assert first.status.description is None
    assert "4711" not in first.to_json()
    if sampled:
        again = COMMON | {tracing.HTTP_STATUS: 200, tracing.HTTP_RESENDS: 1}
        assert dict(said(attempts[1])) == again
    assert measured.more(metrics.UPSTREAM_RETRIES) == 1
    assert measured.more(metrics.UPSTREAM_DURATION, error=error) == 1
    assert measured.more(metrics.UPSTREAM_DURATION, status="200") == (2 if status == 200 else 1)


async def test_what_is_refused_for_our_fault_is_told(gemini: Gemini) -> None:
    """A 403 is a failure of a call, and of no retry."""
    await gemini.fault({"status": 403})
    with tapped() as tap:
        assert await gemini.mint() == "UPSTREAM_MISCONFIGURED"
        (attempt,) = tap.spans
    assert said(attempt)[tracing.ERROR_TYPE] == "403"


async def test_the_probe_is_measured_and_makes_no_trace(gemini: Gemini) -> None:
    """Asking each few seconds whether Gemini is there is in no trace, and in the metrics."""
    measured = Measured()
    with tapped(ALWAYS_ON) as tap:
        await gemini.probe()
        await gemini.fault({"status": 503}, target="models")
        with pytest.raises(ServiceError):
            await gemini.probe()
        assert tap.spans == []
    assert measured.more(metrics.UPSTREAM_DURATION, operation="list_models", status="200") == 1
    assert measured.more(metrics.UPSTREAM_DURATION, operation="list_models", error="503") == 1
