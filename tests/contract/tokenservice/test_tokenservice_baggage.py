"""What a caller sends along ends at tokenservice: neither policy nor Google sees it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from serving import tracing
from serving.clock import steady_clock
from tokenservice.deadline import Deadline
from tokenservice.gemini import GeminiMinter, GeminiOptions, gemini_client
from tokenservice.grant import Terms, TokenRequest
from tokenservice.models import catalogue
from tokenservice.v1 import tokenservice_pb2 as pb

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
SENT = {
    "baggage": "tenant=canary",
    "x-tenant": "canary",
    "traceparent": PARENT,
    "tracestate": "a=1",
}
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


async def test_policy_sees_the_trace_and_no_baggage(service: Any) -> None:
    """Of a caller's metadata, the trace goes on to policy and nothing else."""
    metadata = (service.bearer(), *SENT.items())
    await service.unix.CreateToken(pb.CreateTokenRequest(), metadata=metadata, timeout=10)
    await service.unix.GetUsage(pb.GetUsageRequest(), metadata=metadata, timeout=10)
    assert service.policy.heard
    assert service.policy.metadata_keys == {"traceparent", "tracestate", "user-agent"}


@pytest.fixture
async def google() -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """Run what takes itself for Gemini; return its address, and the headers that it gets."""
    heard: list[dict[str, str]] = []

    async def mint(request: web.Request) -> web.Response:
        heard.append(dict(request.headers))
        return web.json_response({"name": "auth_tokens/fake"})

    app = web.Application()
    app.router.add_post("/{rest:.*}", mint)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    await runner.cleanup()


async def test_google_sees_no_baggage(google: tuple[str, list[dict[str, str]]]) -> None:
    """A mint in a caller's trace carries nothing of the caller's to Google."""
    base_url, heard = google
    options = GeminiOptions(api_key="key", base_url=base_url)
    async with gemini_client(options) as client:
        with tracing.server_span("served", SENT):
            minter = GeminiMinter(client, options)
            await minter.mint(GRANT, GRANT.lifetime(steady_clock()()), Deadline.after(10))
    (headers,) = heard
    assert "canary" not in str(headers)
    assert not {"baggage", "x-tenant"} & {name.lower() for name in headers}
