"""Gateway and tokenservice together: what a browser does, policy hears of."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from fake_policy import refusal

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from policy.v1 import policy_pb2 as policy_pb
from serving.channel import open_channel

MINT = "/api/v1/live-token"
SPOOF = {"X-Forwarded-For": "192.0.2.1", "X-Client-Address": "192.0.2.1"}


@pytest.fixture
async def browser(service: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a browser before a gateway that trusts nobody, before the service."""
    settings = GatewaySettings(port=0, tokenservice_target=service.unix_target, drain_seconds=1)
    listener = http_server.listen(settings.host, settings.port)
    host, port = listener.getsockname()
    stop = asyncio.Event()
    async with open_channel(service.unix_target) as channel:
        app = make_app(settings, channel)
        server = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield session
        stop.set()
        await server


def bearer(service: Any) -> dict[str, str]:
    """Return Ann's credentials as a header."""
    return {"Authorization": service.bearer()[1]}


async def test_policy_hears_where_a_browser_is(service: Any, browser: Any) -> None:
    """The address is the connection's, forged headers or not, and the headers are named."""
    async with browser.post(MINT, headers=bearer(service) | SPOOF) as answer:
        assert answer.status == 200
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client.address == "127.0.0.1"
    assert {"user-agent", "x-forwarded-for"} <= set(reserve.client.http_headers.names)


async def test_a_guess_gets_no_stranger_blocked(service: Any, browser: Any) -> None:
    """Wrong credentials count against who sent them, not whom they name."""
    async with browser.get(f"{MINT}/usage", headers=SPOOF | {"X-API-Key": "guess"}) as answer:
        assert answer.status == 401
    (report,) = service.policy.all_heard(policy_pb.ReportRequest)
    assert report.outcome == policy_pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED
    assert report.client.address == "127.0.0.1"


async def test_a_401_and_a_400_say_by_which_decision(service: Any, browser: Any) -> None:
    """What policy made of a report is told to the caller, where the report arrived."""
    guess, bad = {"X-API-Key": "guess"}, {"duration": 0}
    told = []
    for lost in (0, 2):
        service.policy.lost["Report"] = lost
        async with browser.post(MINT, headers=guess) as answer:
            told.append((answer.status, (await answer.json()).get("decisionId")))
        async with browser.post(MINT, headers=bearer(service), json=bad) as answer:
            told.append((answer.status, (await answer.json()).get("decisionId")))
    assert told == [(401, "d-1"), (400, "d-2"), (401, None), (400, None)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": ""},
        {"X-API-Key": "", "Authorization": "Bearer guess"},
    ],
)
async def test_no_credentials_are_no_guess(
    service: Any, browser: Any, headers: dict[str, str]
) -> None:
    """A blank header, a scheme alone and another scheme are 401, and not reported."""
    async with browser.post(MINT, headers=headers) as answer:
        body = await answer.json()
    assert (answer.status, body["code"]) == (401, "UNAUTHENTICATED")
    assert "decisionId" not in body
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="live-token"'
    assert service.policy.heard == []


async def test_usage_by_limit_reaches_the_browser(service: Any, browser: Any) -> None:
    """A mint and `usage` tell each limit; the cooldown in seconds."""
    cooldown = {
        "limit": "cooldown",
        "value": 300,
        "used": 1.5,
        "nextAllowedAt": "2026-01-01T00:00:00.000Z",
    }
    used = [{"limit": "tokens_per_hour", "value": 1, "used": 1}, cooldown]
    async with browser.post(MINT, headers=bearer(service)) as answer:
        assert (await answer.json())["usage"]["byLimit"] == used
    async with browser.get(f"{MINT}/usage", headers=bearer(service)) as answer:
        assert (await answer.json())["data"]["byLimit"] == used


async def test_a_repeat_that_cannot_be_read_is_not_asked_for_each_second(
    service: Any, browser: Any
) -> None:
    """A token sealed under another key is 503 for the length of the start window."""
    headers = bearer(service) | {"Idempotency-Key": "r"}
    async with browser.post(MINT, headers=headers) as answer:
        assert answer.status == 200
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert service.policy.ledger.commit("ann", "r", reserve.key.owner, b"under another key")
    async with browser.post(MINT, headers=headers) as answer:
        body = await answer.json()
    assert (answer.status, body["code"], body["retryAfter"]) == (503, "POLICY_UNAVAILABLE", 120)
    assert (answer.headers["Retry-After"], body["decisionId"]) == ("120", "d-2")


@pytest.mark.parametrize(
    "refused, status, code",
    [
        (refusal(policy_pb.Refusal.REASON_ADDRESS_BLOCKED), 403, "ADDRESS_BLOCKED"),
        (refusal(policy_pb.Refusal.REASON_USER_BLOCKED), 403, "USER_BLOCKED"),
        (refusal(policy_pb.Refusal.REASON_ABUSE, rule="volume"), 429, "ABUSE_DETECTED"),
    ],
)
async def test_a_refusal_says_by_which_decision(
    service: Any, browser: Any, refused: policy_pb.Refusal, status: int, code: str
) -> None:
    """What policy refuses is told with its decision, and with the wait where there is one."""
    service.policy.refusal = refused
    async with browser.post(MINT, headers=bearer(service)) as answer:
        body = await answer.json()
    assert (answer.status, body["code"], body["decisionId"]) == (status, code, "d-1")
    assert "retryAfter" not in body
    refused.retry_after_ms = 90_500
    refused.next_allowed_time.GetCurrentTime()
    async with browser.post(MINT, headers=bearer(service)) as answer:
        body = await answer.json()
    assert (body["decisionId"], body["retryAfter"]) == ("d-2", 91)
    assert answer.headers["Retry-After"] == "91"
