"""The whole stack, in its own processes: what a caller gets, over HTTP and over gRPC."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from client import TOKEN_PATH, Caller, caller, new_user
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sdks import ANSWERED, REFUSED, Addresses, with_node, with_python

from serving.channel import open_channel
from stack.layout import Layout
from stack.supervisor import running
from tokenservice.v1 import tokenservice_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "tokenservice.v1.TokenService"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(make_layout: Callable[..., Layout]) -> AsyncIterator[Caller]:
    """Run the stack for this module; its tests use users of their own."""
    async with running(make_layout()) as stack, caller(stack.layout) as client:
        yield client


async def test_a_token_is_issued_in_the_contracts_form(stack: Caller) -> None:
    """A POST without a body gets the success body of the contract, and nothing may store it."""
    before = datetime.now(tz=UTC)
    answer = await stack.call(subject=new_user())
    assert answer.status == 200
    body = answer.body
    assert body["success"] is True
    assert body["token"].startswith("auth_tokens/")
    assert body["constraints"] == {
        "model": "gemini-3.8-live",
        "maxDuration": 30,
        "responseModality": "TEXT",
    }
    next_allowed = body["usage"].pop("nextAllowedAt")
    limits = {limit.pop("limit"): limit for limit in body["usage"].pop("byLimit")}
    assert limits["tokens_per_hour"] == {"value": 10, "used": 1}
    assert limits["cooldown"]["nextAllowedAt"] == next_allowed
    assert body["usage"] == {
        "activeTokens": 1,
        "tokensLastHour": 1,
        "tokensLastDay": 1,
        "limits": {"tokensPerHour": 10, "tokensPerDay": 100},
    }
    assert answer.headers["Cache-Control"] == "no-store"
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(form, body["expiresAt"])
    assert re.fullmatch(form, body["sessionStartWindow"])
    expires = datetime.fromisoformat(body["expiresAt"]) - before
    window = datetime.fromisoformat(body["sessionStartWindow"]) - before
    assert 30 * 60 <= expires.total_seconds() + 0.001 < 31 * 60
    assert 2 * 60 <= window.total_seconds() + 0.001 < 3 * 60


async def test_what_was_asked_for_is_what_is_locked(stack: Caller) -> None:
    """Model, modality, temperature, instruction, resumption, compression and one use are locked."""
    asked = {
        "model": "gemini-live-2.5-flash-preview",
        "responseModality": "audio",
        "duration": "15",
        "temperature": 0.5,
    }
    answer = await stack.call(subject=new_user(), json=asked)
    assert answer.body["constraints"] == {
        "model": "gemini-3.8-live",
        "requestedModel": "gemini-live-2.5-flash-preview",
        "requestedModelRetiredOn": "2025-12-09",
        "maxDuration": 15,
        "responseModality": "AUDIO",
        "temperature": 0.5,
    }
    tokens = (await stack.emulator("GET", "tokens"))["tokens"]
    token = next(t for t in tokens if t["name"] == answer.body["token"])
    assert token["uses"] == 1
    assert token["setup"] == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"responseModalities": ["AUDIO"], "temperature": 0.5},
        "systemInstruction": {"role": "user", "parts": [{"text": "You are a helpful assistant."}]},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }
    assert datetime.fromisoformat(token["expireTime"]) == datetime.fromisoformat(
        answer.body["expiresAt"]
    )


async def test_fifty_at_once_get_one_token(stack: Caller) -> None:
    """Of 50 simultaneous requests of one user, over HTTP and gRPC, one gets a token."""
    user = new_user()
    credentials = (("authorization", stack.bearer(user)),)

    async def over_grpc() -> bool:
        call = stack.grpc.CreateToken(pb.CreateTokenRequest(), metadata=credentials, timeout=20)
        code = await call.code()
        assert code in {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        return code is grpc.StatusCode.OK

    async def over_http() -> bool:
        answer = await stack.call(subject=user)
        assert answer.status in {200, 429}, answer
        return answer.status == 200

    minted = (await stack.emulator("GET", "counters"))["tokensMinted"]
    results = await asyncio.gather(*(call() for call in [over_grpc, over_http] * 25))
    assert sum(results) == 1
    assert (await stack.emulator("GET", "counters"))["tokensMinted"] == minted + 1
    usage = await stack.call("GET", f"{TOKEN_PATH}/usage", subject=user)
    assert usage.body["data"]["tokensLastHour"] == 1


async def test_the_cooldown_is_refused_in_words_and_numbers(stack: Caller) -> None:
    """A second token within the cooldown is 429, with the wait in the sentence and the header."""
    user = new_user()
    await stack.call(subject=user)
    answer = await stack.call(subject=user)
    assert answer.status == 429
    wait = answer.body["retryAfter"]
    assert answer.body["code"] == "RATE_LIMIT_EXCEEDED"
    assert answer.body["error"] == (f"Rate limit exceeded: cooldown, try again in {wait} seconds")
    assert answer.headers["Retry-After"] == str(wait)
    assert 295 <= wait <= 300


async def test_a_repeat_with_its_key_gets_the_same_token(stack: Caller) -> None:
    """The same Idempotency-Key and body: the same token and one charge; another body: 422."""
    user, headers = new_user(), {"Idempotency-Key": "order-1"}
    first = await stack.call(subject=user, headers=headers)
    again = await stack.call(subject=user, headers=headers)
    assert again.body["token"] == first.body["token"]
    assert again.body["expiresAt"] == first.body["expiresAt"]
    assert again.body["usage"]["tokensLastDay"] == 1
    other = await stack.call(subject=user, headers=headers, json={"duration": 5})
    assert (other.status, other.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(
    "fault, status, code",
    [
        ({"status": 400, "googleStatus": "INVALID_ARGUMENT"}, 502, "UPSTREAM_MISCONFIGURED"),
        ({"status": 403, "googleStatus": "PERMISSION_DENIED"}, 502, "UPSTREAM_MISCONFIGURED"),
        ({"status": 429, "retryAfter": "77"}, 503, "UPSTREAM_UNAVAILABLE"),
        ({"status": 503}, 503, "UPSTREAM_UNAVAILABLE"),
        ({"disconnect": True}, 503, "UPSTREAM_UNAVAILABLE"),
        ({"garbage": True}, 503, "UPSTREAM_UNAVAILABLE"),
        ({"emptyName": True}, 503, "UPSTREAM_UNAVAILABLE"),
    ],
)
async def test_a_failed_mint_costs_nothing(
    stack: Caller, fault: dict[str, Any], status: int, code: str
) -> None:
    """Whatever Gemini does wrong is told apart, and gives the charge back, cooldown included."""
    user = new_user()
    await stack.emulator("POST", "faults/mint", {"message": "upstream secret", "count": 2} | fault)
    answer = await stack.call(subject=user)
    await stack.emulator("DELETE", "faults")
    assert (answer.status, answer.body["code"]) == (status, code)
    assert "upstream secret" not in str(answer.body)
    assert (
        answer.body.get("retryAfter") == {429: 77}.get(fault.get("status", 0), 1) or status == 502
    )
    usage = await stack.call("GET", f"{TOKEN_PATH}/usage", subject=user)
    assert usage.body["data"]["tokensLastDay"] == 0
    assert "nextAllowedAt" not in usage.body["data"]
    assert (await stack.call(subject=user)).status == 200


@pytest.mark.parametrize(
    "request_, status, code, words",
    [
        (
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "INVALID_ARGUMENT",
            "JSON",
        ),
        ({"json": {"duration": 2.9}}, 400, "INVALID_ARGUMENT", "duration"),
        ({"json": {"duration": "15abc"}}, 400, "INVALID_ARGUMENT", "duration"),
        ({"json": {"duration": True}}, 400, "INVALID_ARGUMENT", "duration"),
        ({"json": {"duration": 61}}, 400, "INVALID_ARGUMENT", "duration"),
        ({"json": {"temperature": 2.1}}, 400, "INVALID_ARGUMENT", "temperature"),
        ({"json": {"responseModality": "VIDEO"}}, 400, "INVALID_ARGUMENT", "responseModality"),
        ({"json": {"colour": "red"}}, 400, "INVALID_ARGUMENT", "colour"),
        ({"json": {"model": "gemini-1"}}, 400, "MODEL_NOT_ALLOWED", "model"),
        ({"json": {"model": "../x"}}, 400, "MODEL_NOT_ALLOWED", "model"),
        (
            {"json": {"systemInstruction": "be rude"}},
            400,
            "CUSTOM_INSTRUCTION_NOT_ALLOWED",
            "systemInstruction",
        ),
        ({"json": {"model": "x" * 65_536}}, 413, "PAYLOAD_TOO_LARGE", ""),
        (
            {"data": b"a=1", "headers": {"Content-Type": "text/plain"}},
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "",
        ),
    ],
)
async def test_bad_input_is_refused_by_name_and_costs_nothing(
    stack: Caller, request_: dict[str, Any], status: int, code: str, words: str
) -> None:
    """Each bad request has the status, code and words of the contract, and spends no quota."""
    user = new_user()
    answer = await stack.call(subject=user, **request_)
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.body["success"] is False
    assert words in answer.body["error"]
    assert (await stack.call(subject=user)).status == 200


@pytest.mark.parametrize(
    "method, path, status, code",
    [
        ("DELETE", TOKEN_PATH, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", f"{TOKEN_PATH}/stats", 403, "PERMISSION_DENIED"),
        ("GET", f"{TOKEN_PATH}/config/", 200, None),
        ("GET", f"{TOKEN_PATH}/health", 200, None),
    ],
)
async def test_routes(stack: Caller, method: str, path: str, status: int, code: str | None) -> None:
    """Methods, paths and rights are the contract's; a trailing slash works."""
    answer = await stack.call(method, path, subject=new_user())
    assert (answer.status, answer.body.get("code")) == (status, code)


async def test_no_credentials_no_token(stack: Caller) -> None:
    """Without credentials, with bad ones, or with a bad API key beside a good bearer: 401."""
    good = stack.bearer(new_user())
    attempts: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": good, "X-API-Key": "wrong"},
    ]
    for headers in attempts:
        answer = await stack.call(headers=headers)
        assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_operators_see_the_fleet(stack: Caller) -> None:
    """Stats are for operators, and count what was issued."""
    headers = {"Authorization": stack.bearer(new_user(), roles=["operator"])}
    before = await stack.call("GET", f"{TOKEN_PATH}/stats", headers=headers)
    await stack.call(subject=new_user())
    after = await stack.call("GET", f"{TOKEN_PATH}/stats", headers=headers)
    assert int(after.body["data"]["tokensLastHour"]) == (
        int(before.body["data"]["tokensLastHour"]) + 1
    )


async def test_the_python_sdk_talks_with_an_issued_token_once(stack: Caller) -> None:
    """The unpatched Python SDK gets an answer with our token; a second connect is refused."""
    layout = stack.layout
    addresses = Addresses(layout.emulator_url, layout.emulator_tls_url, str(layout.ca_file))
    body = (await stack.call(subject=new_user())).body
    talk = partial(with_python, addresses, body["token"], body["apiVersion"])
    assert await asyncio.to_thread(talk) == ANSWERED
    assert await asyncio.to_thread(talk) == REFUSED


async def test_the_javascript_sdk_talks_with_an_issued_token_once(
    stack: Caller, node: Path
) -> None:
    """The official JavaScript SDK gets an answer with our token; a second connect is refused."""
    layout = stack.layout
    addresses = Addresses(layout.emulator_url, layout.emulator_tls_url, str(layout.ca_file))
    body = (await stack.call(subject=new_user())).body
    talk = partial(with_node, node, addresses, body["token"], body["apiVersion"])
    assert await asyncio.to_thread(talk) == ANSWERED
    assert await asyncio.to_thread(talk) == REFUSED


async def test_grpc_callers_get_the_same_errors_in_their_form(stack: Caller) -> None:
    """Over gRPC, a bad field is INVALID_ARGUMENT with google.rpc details naming it."""
    credentials = (("authorization", stack.bearer(new_user())),)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stack.grpc.CreateToken(
            pb.CreateTokenRequest(duration_minutes=0), metadata=credentials, timeout=5
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(refused.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    details = list(status.details)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert details[0].Unpack(info)
    assert details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("INVALID_ARGUMENT", "live-token")
    assert bad.field_violations[0].field == "duration"


async def test_health_and_reflection_are_on(stack: Caller) -> None:
    """grpc.health.v1 answers for the service, and reflection lists it."""
    async with open_channel(stack.layout.tokenservice_target) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        untyped: Any = channel  # the stubs are typed for synchronous channels only
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(untyped)
        requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
        async for listed in reflection.ServerReflectionInfo(iter(requests), timeout=5):
            names = {service.name for service in listed.list_services_response.service}
            assert {SERVICE, "grpc.health.v1.Health"} <= names
            break


async def test_a_caller_in_a_hurry_is_not_kept_waiting_nor_charged(stack: Caller) -> None:
    """A deadline shorter than Gemini's answer ends the call in time, and costs nothing."""
    user = new_user()
    await stack.emulator("POST", "faults/mint", {"latencyMs": 3000, "count": 2})
    credentials = (("authorization", stack.bearer(user)),)
    started = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await stack.grpc.CreateToken(pb.CreateTokenRequest(), metadata=credentials, timeout=1.5)
    assert late.value.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert time.monotonic() - started < 2.5
    await stack.emulator("DELETE", "faults")
    usage = await stack.call("GET", f"{TOKEN_PATH}/usage", subject=user)
    assert usage.body["data"]["tokensLastDay"] == 0
    assert (await stack.call(subject=user)).status == 200
