"""`Grpc-Timeout`: a caller's own deadline, through HTTP."""

import asyncio
from typing import Any

import pytest
from raw_http import MINT, RawAnswer, exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"


async def answered(gateway: Any, *lines: str) -> RawAnswer:
    """Return the answer to a mint with these header lines."""
    answer = await exchange(gateway.port, request(AUTH, *lines))
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    "value, longest",
    [("5S", 5), ("5000m", 5), ("5000000u", 5), ("1H", 10), ("1M", 10), ("99999999H", 10)],
)
async def test_the_rpc_has_the_callers_deadline(gateway: Any, value: str, longest: int) -> None:
    """It goes along to the service, and is never longer than the gateway's own."""
    assert (await answered(gateway, f"Grpc-Timeout: {value}")).status == 200
    assert longest - 1 < gateway.service.time_remaining < longest + 1


@pytest.mark.parametrize("value", ["", "5", "S", "5s", "-5S", "1.5S", "123456789n", "5S, 5S"])
async def test_what_is_no_timeout_is_400(gateway: Any, value: str) -> None:
    """The header is named, and no RPC is made."""
    answer = await answered(gateway, f"Grpc-Timeout: {value}")
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert answer.body["details"][1]["fieldViolations"][0]["field"] == "Grpc-Timeout"
    assert gateway.service.requests == []


async def test_two_timeouts_are_400(gateway: Any) -> None:
    """Which is meant is not for the gateway to guess."""
    answer = await answered(gateway, "Grpc-Timeout: 5S", "grpc-timeout: 6S")
    assert answer.status == 400
    assert gateway.service.requests == []


@pytest.mark.parametrize("value", ["0S", "0n", "00000000H"])
async def test_no_time_is_504_and_no_token(gateway: Any, value: str) -> None:
    """Of an RPC that cannot be waited for nothing would be left but its cost: none is made."""
    answer = await answered(gateway, f"Grpc-Timeout: {value}")
    assert (answer.status, answer.body["code"]) == (504, "DEADLINE_EXCEEDED")
    assert gateway.service.requests == []


async def test_a_deadline_that_passes_is_504(gateway: Any) -> None:
    """When the caller's time is over, it is told so, and when to come back."""
    gateway.service.held = asyncio.Event()
    answer = await answered(gateway, "Grpc-Timeout: 50m")
    assert (answer.status, answer.body["code"]) == (504, "DEADLINE_EXCEEDED")
    assert answer.headers["retry-after"] == str(answer.body["retryAfter"])


async def test_a_bad_timeout_does_not_hide_an_earlier_mistake(gateway: Any) -> None:
    """An unknown path stays 404, whatever its headers are."""
    answer = await exchange(gateway.port, request("Grpc-Timeout: x", path=MINT + "/none"))
    assert answer is not None
    assert answer.status == 404
