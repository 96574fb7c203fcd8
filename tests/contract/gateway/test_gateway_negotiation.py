"""`Accept`, through HTTP: JSON, problem details, or 406 before anything is done."""

from typing import Any

import pytest
from raw_http import MINT, RawAnswer, connect, exchange, request

from serving import errors
from serving.shedding import Overloaded

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"
PROBLEM = "Accept: application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "instance"}
CONTRACT = {"success", "error", "code", "requestId", "details"}
IANA = "https://iana.org/assignments/http-problem-types#"


async def answered(gateway: Any, data: bytes) -> RawAnswer:
    """Return the answer to a raw request."""
    answer = await exchange(gateway.port, data)
    assert answer is not None
    return answer


def check_problem(answer: RawAnswer, status: int, code: str) -> None:
    """Check that an answer is problem details, with all of the contract's body."""
    assert (answer.status, answer.body["status"], answer.body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.body) >= MEMBERS | CONTRACT
    assert answer.body["success"] is False
    assert answer.body["detail"] == answer.body["error"]
    assert answer.body["requestId"] == answer.headers["x-request-id"]
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["", "/usage", "/health", "/config", "/stats"])
@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0, image/png"])
async def test_what_nobody_could_answer_is_406(gateway: Any, path: str, accept: str) -> None:
    """A request whose answer its client would not take makes no RPC, so no token is wasted."""
    data = request(AUTH, f"Accept: {accept}", method="GET" if path else "POST", path=MINT + path)
    answer = await answered(gateway, data)
    assert (answer.status, answer.body["code"]) == (406, "NOT_ACCEPTABLE")
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["success"] is False
    assert "application/json" in answer.body["error"]
    assert gateway.service.requests == []


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Accept:"],
        ["Accept: */*"],
        ["Accept: application/*"],
        ["Accept: application/json;q=0.1, text/html"],
        ["Accept: text/html", "Accept: application/json"],
        ["Accept: nonsense"],
        ["Accept: text/html;q=9"],
        ["Accept: \xff"],
        [PROBLEM],
        ["Accept: application/problem+json, application/json;q=0"],
        ["Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
    ],
    ids=range(12),
)
async def test_whoever_takes_any_of_it_is_served(gateway: Any, lines: list[str]) -> None:
    """A success is JSON for everybody, even for who names problem details alone."""
    answer = await answered(gateway, request(AUTH, *lines))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["token"] == "auth_tokens/fake"


async def test_a_refusal_keeps_its_status(gateway: Any) -> None:
    """What is refused for another reason is, whatever it accepts: 406 is only for successes."""
    for data, status in [
        (request(AUTH, "Accept: text/html", path="/none"), 404),
        (request(AUTH, "Accept: text/html", method="DELETE"), 405),
        (request(AUTH, "Accept: text/html", path=MINT + "?x=1"), 400),
    ]:
        answer = await answered(gateway, data)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "data, status, code",
    [
        (request(AUTH, PROBLEM, JSON, "Content-Length: 1", body=b"{"), 400, "INVALID_ARGUMENT"),
        (request(PROBLEM), 401, "UNAUTHENTICATED"),
        (request(AUTH, PROBLEM, method="GET", path=MINT + "/stats"), 403, "PERMISSION_DENIED"),
        (request(AUTH, PROBLEM, path="/none"), 404, "NOT_FOUND"),
        (request(AUTH, PROBLEM, method="GET"), 405, "METHOD_NOT_ALLOWED"),
        (request(AUTH, PROBLEM, JSON, "Content-Length: 100000"), 413, "PAYLOAD_TOO_LARGE"),
        (request(AUTH, PROBLEM, "Content-Length: 2", body=b"{}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            request(AUTH, PROBLEM, *(f"Grpc-Metadata-{n}: x" for n in range(17))),
            *(431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_of_the_gateway_are_problems(
    gateway: Any, data: bytes, status: int, code: str
) -> None:
    """Whoever names problem details gets them for all that the gateway refuses."""
    answer = await answered(gateway, data)
    check_problem(answer, status, code)
    assert answer.body["type"] == "about:blank"
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="live-token"'
    if status == 405:
        assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "data, status",
    [
        (request(AUTH, PROBLEM, "Host: y"), 400),
        (request(AUTH, PROBLEM, "Content-Length: x"), 400),
        (request(AUTH, PROBLEM, *(f"X-{n}: x" for n in range(99))), 431),
    ],
    ids=["host", "length", "headers"],
)
async def test_so_are_those_of_what_was_no_request(gateway: Any, data: bytes, status: int) -> None:
    """Below the application, the headers that were read by then decide the form."""
    answer = await answered(gateway, data)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["requestId"] == answer.headers["x-request-id"]


async def test_a_limit_that_was_met_is_a_quota_problem(gateway: Any) -> None:
    """A quota refusal has the draft's type and names the policies of the RateLimit fields."""
    violation = errors.QuotaViolation("tokens_per_hour", "10 tokens per hour", 10)
    gateway.service.failure = errors.QuotaExceeded(
        "Rate limit exceeded: 10 tokens per hour", violation, retry_after=1200
    )
    answer = await answered(gateway, request(AUTH, PROBLEM))
    check_problem(answer, 429, "RATE_LIMIT_EXCEEDED")
    assert answer.body["type"] == IANA + "quota-exceeded"
    assert answer.body["violated-policies"] == ["tokens_per_hour"]
    assert answer.body["retryAfter"] == 1200
    assert answer.headers["retry-after"] == "1200"


async def test_abuse_is_abnormal_usage(gateway: Any) -> None:
    """A refusal of a rule against abuse has the draft's type and names the rule."""
    failure = errors.Throttled(retry_after=9)
    failure.reason = "ABUSE_DETECTED"
    failure.metadata["rule"] = "machine_timing"
    gateway.service.failure = failure
    answer = await answered(gateway, request(AUTH, PROBLEM))
    check_problem(answer, 429, "ABUSE_DETECTED")
    assert answer.body["type"] == IANA + "abnormal-usage-detected"
    assert answer.body["violated-policies"] == ["machine_timing"]


async def test_what_cannot_be_carried_is_reduced_capacity(gateway: Any) -> None:
    """A refusal for want of room has the draft's type, and no policy of the caller's in it."""
    gateway.service.failure = Overloaded()
    answer = await answered(gateway, request(AUTH, PROBLEM))
    check_problem(answer, 503, "UPSTREAM_UNAVAILABLE")
    assert answer.body["type"] == IANA + "temporary-reduced-capacity"
    assert answer.body["violated-policies"] == []


async def test_head_has_the_type_of_get(gateway: Any) -> None:
    """The answer to HEAD says what the answer to GET would be."""
    async with connect(gateway.port) as connection:
        connection.send(request(PROBLEM, method="HEAD", path=MINT + "/usage"))
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 401")
        assert "content-type: application/problem+json\r\n" in head
