"""What the contract says of answers: bodies, headers, and what reaches the service."""

from typing import Any

import pytest
from google.protobuf import json_format

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
GOOD = {"Authorization": "Bearer good"}
USAGE = {
    "activeTokens": 1,
    "tokensLastHour": 1,
    "tokensLastDay": 1,
    "limits": {"tokensPerHour": 10, "tokensPerDay": 100},
    "byLimit": [
        {"limit": "tokens_per_hour", "value": 10, "used": 1},
        {
            "limit": "cooldown",
            "value": 300,
            "used": 0.5,
            "nextAllowedAt": "2026-01-01T00:00:00.000Z",
        },
    ],
}


@pytest.mark.parametrize("path", [MINT, MINT + "/"])
async def test_mint(gateway: Any, path: str) -> None:
    """A mint answers with the contract's body, with or without a trailing slash."""
    answer = await gateway.browser.ask("POST", path, json={})
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "token": "auth_tokens/fake",
        "expiresAt": "2026-01-01T00:30:00.000Z",
        "sessionStartWindow": "2026-01-01T00:02:00.000Z",
        "constraints": {"model": "gemini", "maxDuration": 30, "responseModality": "TEXT"},
        "usage": USAGE,
        "decisionId": "d-1",
        "apiVersion": "v1beta",
    }


async def test_usage(gateway: Any) -> None:
    """Usage is in `data`."""
    answer = await gateway.browser.ask("GET", MINT + "/usage")
    assert (answer.status, answer.body) == (200, {"success": True, "data": USAGE})


async def test_health_needs_no_credentials(gateway: Any) -> None:
    """Anyone may ask for health."""
    answer = await gateway.browser.ask("GET", MINT + "/health", headers={})
    assert answer.status == 200
    assert answer.body["data"] == {"status": "SERVING", "dependencies": {"policy": "SERVING"}}


async def test_config(gateway: Any) -> None:
    """What is 0, false or empty is told as well."""
    answer = await gateway.browser.ask("GET", MINT + "/config/")
    assert answer.status == 200
    assert answer.body["data"]["defaultModel"] == "gemini"
    assert answer.body["data"]["customInstructionsAllowed"] is False
    assert answer.body["data"]["allowedModels"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Content-Encoding": "identity"},
    ],
)
async def test_a_mint_needs_no_body(gateway: Any, headers: dict[str, str]) -> None:
    """A POST without a body is a request for the defaults, whatever its content type."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | headers)
    assert answer.status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
    ],
)
async def test_the_body_reaches_the_service(gateway: Any, content_type: str) -> None:
    """Each field of the contract becomes a field of the message."""
    body = (
        '{"model": "m", "responseModality": "audio", "duration": "15", "temperature": 0.5,'
        ' "systemInstruction": "é"}'
    )
    headers = GOOD | {"Content-Type": content_type}
    answer = await gateway.browser.ask("POST", MINT, data=body.encode(), headers=headers)
    assert answer.status == 200
    assert json_format.MessageToDict(gateway.service.requests[0]) == {
        "model": "m",
        "responseModality": "audio",
        "duration": 15,
        "temperature": 0.5,
        "systemInstruction": "é",
    }


async def test_a_chunked_body_is_read(gateway: Any) -> None:
    """A body may come in pieces, without a length."""

    async def pieces() -> Any:
        for piece in (b'{"dura', b'tion"', b": 7}"):
            yield piece

    headers = GOOD | {"Content-Type": "application/json"}
    answer = await gateway.browser.ask("POST", MINT, data=pieces(), headers=headers)
    assert answer.status == 200
    assert gateway.service.requests[0].duration_minutes == 7


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", MINT, 200),
        ("GET", MINT + "/stats", 403),
        ("GET", "/nowhere", 404),
        ("DELETE", MINT, 405),
        ("OPTIONS", MINT, 204),
        ("GET", MINT + "/usage?key=x", 400),
    ],
)
async def test_every_answer_has_the_headers(
    gateway: Any, method: str, path: str, status: int
) -> None:
    """No answer is stored or sniffed; each has an id, and names no server software."""
    answer = await gateway.browser.ask(method, path)
    assert answer.status == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept, Authorization, Origin"
    assert answer.headers["X-Request-Id"]
    assert "Server" not in answer.headers
    if answer.body is not None:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.body.get("requestId") in {None, answer.headers["X-Request-Id"]}


async def test_head_is_get_without_a_body(gateway: Any) -> None:
    """HEAD has the status and the length that GET has, and no body."""
    get = await gateway.browser.ask("GET", MINT + "/usage")
    head = await gateway.browser.ask("HEAD", MINT + "/usage")
    assert (head.status, head.body) == (200, None)
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


async def test_options_tells_what_is_allowed(gateway: Any) -> None:
    """OPTIONS makes no RPC and answers with Allow."""
    answer = await gateway.browser.ask("OPTIONS", MINT + "/usage")
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert gateway.service.requests == []


@pytest.mark.parametrize(
    "sent, kept",
    [
        ("a-b.c_~!", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("é", False),
        ("", False),
    ],
)
async def test_request_ids(gateway: Any, sent: str, *, kept: bool) -> None:
    """A usable x-request-id is kept, another is replaced; it is echoed and sent on."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | {"X-Request-Id": sent})
    assert (answer.headers["X-Request-Id"] == sent) is kept
    assert gateway.service.metadata["x-request-id"] == answer.headers["X-Request-Id"]


async def test_only_listed_headers_are_forwarded(gateway: Any) -> None:
    """The service sees the credentials and the user agent; of the rest, our words on the client."""
    sent = GOOD | {
        "X-API-Key": "k",
        "User-Agent": "ua/1",
        "Grpc-Metadata-X-User-Id": "root",
        "Grpc-Timeout": "1H",
        "X-User-Id": "root",
        "X-Internal": "1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Client-Address": "10.0.0.2",
        "X-Client-Headers": "accept",
        "Grpc-Metadata-X-Client-Address": "10.0.0.3",
        "Cookie": "a=b",
        "Baggage": "a=b",
        "Origin": "https://example.com",
    }
    answer = await gateway.browser.ask("POST", MINT, headers=sent)
    assert answer.status == 200
    metadata = gateway.service.metadata
    assert metadata.pop("user-agent").startswith("grpc-python")
    assert metadata.pop("traceparent").split("-")[1] == answer.headers["X-Trace-Id"]
    assert metadata == {
        "authorization": "Bearer good",
        "x-api-key": "k",
        "grpcgateway-user-agent": "ua/1",
        "x-request-id": answer.headers["X-Request-Id"],
        "x-client-address": "127.0.0.1",
        "x-client-headers": "user-agent,accept,origin,x-forwarded-for",
    }
    keys = gateway.service.metadata_keys
    assert len(keys) == len(set(keys))


async def test_the_deadline_goes_along(gateway: Any) -> None:
    """Each RPC has the deadline that is configured."""
    await gateway.browser.ask("POST", MINT)
    assert 9 < gateway.service.time_remaining < 11  # gRPC adds a little


@pytest.mark.parametrize("key", ["k", "k" * 128, "a b", 'quo"ted"'])
async def test_the_idempotency_key_is_the_request_id(gateway: Any, key: str) -> None:
    """The header becomes the message's request_id."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | {"Idempotency-Key": key})
    assert answer.status == 200
    assert gateway.service.requests[0].request_id == key


async def test_a_request_id_in_the_body(gateway: Any) -> None:
    """The body may carry the id if there is no header, or an equal one."""
    for headers in (GOOD, GOOD | {"Idempotency-Key": "k"}):
        answer = await gateway.browser.ask("POST", MINT, json={"requestId": "k"}, headers=headers)
        assert answer.status == 200
        assert gateway.service.requests[-1].request_id == "k"


async def test_a_key_where_nothing_is_repeatable_is_ignored(gateway: Any) -> None:
    """A request whose message has no request_id does not mind the header."""
    headers = GOOD | {"Idempotency-Key": "k"}
    answer = await gateway.browser.ask("GET", MINT + "/usage", headers=headers)
    assert answer.status == 200


async def test_a_long_token_arrives(gateway: Any) -> None:
    """A JWT of 7,000 characters is not too long for anything on its way."""
    token = "Bearer " + "x" * 7_000
    answer = await gateway.browser.ask("POST", MINT, headers={"Authorization": token})
    assert answer.status == 401
    assert gateway.service.metadata["authorization"] == token
