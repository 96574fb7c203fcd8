"""Each way to be refused, as it comes from the gateway, is one that the OpenAPI document has."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from openapi_document import Answer, Description, load

from serving.errors import Internal, InvalidArgument, PermissionDenied, QuotaViolation
from tokenservice import errors

if TYPE_CHECKING:
    from serving.errors import ServiceError

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
USAGE = f"{MINT}/usage"
HEALTH = f"{MINT}/health"
CREDENTIAL = {"Authorization": "Bearer good"}
OVER_RPC: tuple[ServiceError, ...] = (
    InvalidArgument("temperature", "must be a number from 0 to 2"),
    errors.ModelNotAllowed("model", "is not one of the allowed models"),
    errors.CustomInstructionNotAllowed("systemInstruction", "are not allowed"),
    errors.BadProof(),
    PermissionDenied(),
    errors.AddressBlocked(retry_after=7200),
    errors.UserBlocked(retry_after=7200),
    errors.SubjectDenied(),
    errors.IdempotencyKeyInUse(retry_after=1),
    errors.IdempotencyKeyReused(),
    errors.RateLimitExceeded(
        "Rate limit exceeded: 10 tokens per hour",
        QuotaViolation("tokens_per_hour", "10 tokens per hour", 10),
        retry_after=1500,
    ),
    errors.AbuseDetected("volume", retry_after=600),
    Internal(),
    errors.UpstreamMisconfigured(),
    errors.UpstreamUnavailable(),
    errors.PolicyUnavailable(),
    errors.NotServing({"policy": "POLICY_UNAVAILABLE", "gemini": "UPSTREAM_MISCONFIGURED"}),
)
BY_THE_GATEWAY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "INVALID_ARGUMENT": ("GET", f"{USAGE}?limit=1", {}),
    "UNAUTHENTICATED": ("GET", USAGE, {"headers": {"Authorization": "Bearer bad"}}),
    "NOT_FOUND": ("GET", f"{MINT}/nothing", {}),
    "METHOD_NOT_ALLOWED": ("DELETE", USAGE, {}),
    "NOT_ACCEPTABLE": ("GET", USAGE, {"headers": {"Accept": "text/html"}}),
    "PAYLOAD_TOO_LARGE": ("POST", MINT, {"json": {"model": "m" * 70_000}}),
    "URI_TOO_LONG": ("GET", f"{USAGE}?onBehalfOf={'a' * 9_000}", {}),
    "UNSUPPORTED_MEDIA_TYPE": ("POST", MINT, {"data": "model=gemini"}),
    "REQUEST_HEADER_FIELDS_TOO_LARGE": (
        "GET",
        USAGE,
        {"headers": {f"Grpc-Metadata-A{number}": "b" for number in range(20)}},
    ),
    "DEADLINE_EXCEEDED": ("GET", HEALTH, {"headers": {"Grpc-Timeout": "0S"}}),
}
FORMS = ("application/json", "application/problem+json")


@pytest.fixture(scope="module")
def description() -> Description:
    """Return what the committed document says."""
    return Description(load())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("error", OVER_RPC, ids=lambda error: type(error).__name__)
async def test_what_the_service_refuses(
    gateway: Any, description: Description, error: ServiceError, form: str
) -> None:
    """Each outcome of a mint, in each form."""
    gateway.service.failure = error
    await _ensure_described(gateway, description, "POST", MINT, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", BY_THE_GATEWAY)
async def test_what_the_gateway_refuses(
    gateway: Any, description: Description, code: str, form: str
) -> None:
    """Each request that becomes no RPC, or comes to none, in each form."""
    method, path, options = BY_THE_GATEWAY[code]
    answer = await _ensure_described(gateway, description, method, path, form, **options)
    assert answer.body["code"] == code


async def test_what_comes_too_slowly(launch: Any, description: Description) -> None:
    """Half a body, and the wait for the rest is over."""
    async with launch(body_timeout_ms=1) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"POST {MINT} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert f" {HTTPStatus.REQUEST_TIMEOUT} " in lines[0]
    answer = Answer(HTTPStatus.REQUEST_TIMEOUT, headers, json.loads(body))
    description.ensure_describes("POST", MINT, answer)


async def test_every_operation_can_be_unavailable(launch: Any, description: Description) -> None:
    """Where there is no tokenservice, each says so as described."""
    async with launch(served=False, rpc_timeout_ms=1_000) as gateway:
        for path, operations in description.document["paths"].items():
            for method in operations:
                answer = await _ensure_described(gateway, description, method, path, FORMS[0])
                assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE


async def test_nothing_else_is_described(description: Description) -> None:
    """Each code of the document is one that these tests, or this one of slowness, have seen."""
    described = {
        code
        for operations in description.document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if status != "200"
        for code in description.resolved(response)["content"][FORMS[0]]["examples"]
    }
    seen = {error.reason for error in OVER_RPC} | BY_THE_GATEWAY.keys() | {"REQUEST_TIMEOUT"}
    assert described == seen


async def _ensure_described(
    gateway: Any, description: Description, method: str, path: str, form: str, **options: Any
) -> Answer:
    headers = CREDENTIAL | {"Accept": form} | options.pop("headers", {})
    told = await gateway.browser.ask(method.upper(), path, headers=headers, **options)
    answer = Answer(told.status, told.headers, told.body)
    operation = path.partition("?")[0]
    known = description.document["paths"].get(operation, {})
    if method.lower() not in known:  # then it is the path, or the method, that is refused
        method, operation = "GET", USAGE
    description.ensure_describes(method, operation, answer)
    return answer
