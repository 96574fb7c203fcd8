"""Requests that the gateway refuses by itself, before any RPC."""

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
GOOD = {"Authorization": "Bearer good"}
JSON = GOOD | {"Content-Type": "application/json"}


def check_refused(gateway: Any, answer: Any, status: int, code: str) -> None:
    """Check that an answer is the one body of refusals, and that no RPC was made."""
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.body["success"] is False
    assert isinstance(answer.body["error"], str)
    assert answer.body["details"][0] == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code,
        "domain": "live-token",
    }
    assert "retryAfter" not in answer.body
    assert gateway.service.requests == []


@pytest.mark.parametrize(
    "body, field",
    [
        (b"{", None),
        (b"nonsense", None),
        (b" ", None),
        (b"[]", None),
        (b"null", None),
        (b'"x"', None),
        (b"\xff\xfe{\x00}\x00", None),
        (b"[" * 60_000, None),
        (b'{"temperature": NaN}', None),
        (b'{"temperature": 1e400}', "temperature"),
        (b'{"temperature": "0.5"}', "temperature"),
        (b'{"temperature": true}', "temperature"),
        (b'{"duration": 2.9}', "duration"),
        (b'{"duration": "15abc"}', "duration"),
        (b'{"duration": "2.9"}', "duration"),
        (b'{"duration": true}', "duration"),
        (b'{"duration": ""}', "duration"),
        (b'{"duration": []}', "duration"),
        (b'{"duration": 3000000000}', "duration"),
        (b'{"duration": 1, "duration": 2}', "duration"),
        (b'{"duration": 1, "duration_minutes": 2}', "duration_minutes"),
        (b'{"model": 1}', "model"),
        (b'{"model": {}}', "model"),
        (b'{"model": "\\ud800"}', "model"),
        (b'{"responseModality": ["TEXT"]}', "responseModality"),
        (b'{"systemInstruction": false}', "systemInstruction"),
        (b'{"models": "m"}', "models"),
        (b'{"uses": 5}', "uses"),
        (b'{"__proto__": {}}', "__proto__"),
    ],
    ids=range(29),
)
async def test_malformed_bodies(gateway: Any, body: bytes, field: str | None) -> None:
    """A body that cannot be a request is 400 and names the field; who calls is judged before.

    But not before the syntax: what is no JSON is 400 whoever sends it.
    """
    headers = {"Content-Type": "application/json"}
    status, code = (400, "INVALID_ARGUMENT") if field is None else (401, "UNAUTHENTICATED")
    answer = await gateway.browser.ask("POST", MINT, data=body, headers=headers)
    check_refused(gateway, answer, status, code)
    answer = await gateway.browser.ask("POST", MINT, data=body, headers=JSON)
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    if field is not None:
        assert field in answer.body["error"]
        assert answer.body["details"][1]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize(
    "path",
    [
        MINT + "?access_token=SECRET",
        MINT + "?key=SECRET",
        MINT + "?model=m",
        MINT + "?x",
    ],
)
async def test_queries_on_a_mint(gateway: Any, path: str) -> None:
    """A mint has no parameters, credentials in the URL least of all."""
    answer = await gateway.browser.ask("POST", path)
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    assert "SECRET" not in str(answer.body)


async def test_queries_on_a_get(gateway: Any) -> None:
    """An unknown parameter is refused by name."""
    answer = await gateway.browser.ask("GET", MINT + "/usage?access_token=SECRET")
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    assert "access_token" in answer.body["error"]
    assert "SECRET" not in str(answer.body)


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/live-token/x", "/API/v1/live-token", MINT + "//", "//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_unknown_paths(gateway: Any, method: str, path: str) -> None:
    """A path that is none is 404, by any method."""
    answer = await gateway.browser.ask(method, path)
    check_refused(gateway, answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path, methods, allow",
    [
        (MINT, ("GET", "PUT", "PATCH", "DELETE", "PROPFIND"), "OPTIONS, POST"),
        (MINT + "/", ("GET",), "OPTIONS, POST"),
        *(
            (f"{MINT}/{name}", ("POST", "PUT", "PATCH", "DELETE"), "GET, HEAD, OPTIONS")
            for name in ("usage", "health", "config", "stats")
        ),
    ],
)
async def test_wrong_methods(gateway: Any, path: str, methods: tuple[str, ...], allow: str) -> None:
    """A wrong method is 405 with Allow."""
    for method in methods:
        answer = await gateway.browser.ask(method, path)
        check_refused(gateway, answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_wrong_content_types(gateway: Any, content_type: str) -> None:
    """A body that does not say that it is JSON is 415, which also stops forms of other sites."""
    headers = GOOD | {"Content-Type": content_type}
    answer = await gateway.browser.ask("POST", MINT, data=b"{}", headers=headers)
    check_refused(gateway, answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.headers["Accept"] == "application/json"


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x"])
async def test_compressed_bodies(gateway: Any, encoding: str) -> None:
    """A compressed body is 415: its size would be anyone's guess."""
    headers = JSON | {"Content-Encoding": encoding}
    answer = await gateway.browser.ask("POST", MINT, data=b"{}", headers=headers)
    check_refused(gateway, answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_the_largest_body_passes(gateway: Any) -> None:
    """64 KiB are read."""
    body = b'{"model": "m"}'.ljust(65_536)
    answer = await gateway.browser.ask("POST", MINT, data=body, headers=JSON)
    assert answer.status == 200


async def test_large_bodies(gateway: Any) -> None:
    """One byte more is 413, and the connection can go on."""
    answer = await gateway.browser.ask("POST", MINT, data=b" " * 65_537, headers=JSON)
    check_refused(gateway, answer, 413, "PAYLOAD_TOO_LARGE")
    assert (await gateway.browser.ask("POST", MINT)).status == 200


async def test_large_chunked_bodies(gateway: Any) -> None:
    """Without a Content-Length, the bytes are counted as they come."""

    async def pieces() -> Any:
        for _ in range(70):
            yield b" " * 1024

    answer = await gateway.browser.ask("POST", MINT, data=pieces(), headers=JSON)
    check_refused(gateway, answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "name, value",
    [
        ("Authorization", "Bearer é"),
        ("X-API-Key", "ключ"),
        ("User-Agent", "ü"),
        ("Authorization", "Bearer a\tb"),
        ("Authorization", "Bearer " + "x" * 13_000),
        ("Idempotency-Key", ""),
        ("Idempotency-Key", " "),
        ("Idempotency-Key", "k" * 129),
        ("Idempotency-Key", "é"),
        ("Idempotency-Key", "a\tb"),
    ],
)
async def test_headers_that_cannot_be_sent_on(gateway: Any, name: str, value: str) -> None:
    """A header that gRPC metadata or the message cannot carry is 400 and named."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | {name: value})
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    assert name.lower() in answer.body["error"].lower()


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "Idempotency-Key"])
async def test_headers_given_twice(gateway: Any, name: str) -> None:
    """Two credentials or keys are 400: which is meant is not for us to guess."""
    headers = [(name, "Bearer good"), (name, "Bearer other")]
    answer = await gateway.browser.ask("POST", MINT, headers=headers)
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    assert name.lower() in answer.body["error"].lower()


async def test_contradicting_idempotency_keys(gateway: Any) -> None:
    """A header and a body that differ are 400."""
    headers = GOOD | {"Idempotency-Key": "a"}
    answer = await gateway.browser.ask("POST", MINT, json={"requestId": "b"}, headers=headers)
    check_refused(gateway, answer, 400, "INVALID_ARGUMENT")
    assert "Idempotency-Key" in answer.body["error"]
