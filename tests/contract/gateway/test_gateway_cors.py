"""CORS: who may read answers, and that nobody is kept from reading why not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from raw_http import MINT, RawAnswer, connect, exchange, request

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIGINS = ("https://app.example.com", "https://*.preview.example.com")
OURS = "https://app.example.com"
STRANGER = "https://evil.example"
AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"
ASKED_BY_THE_CLIENT = "authorization,content-type,idempotency-key,traceparent,x-api-key"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def allowing(tmp_path_factory: pytest.TempPathFactory, launch_at: Any) -> AsyncIterator[Any]:
    """Run a gateway that allows ORIGINS."""
    async with launch_at(tmp_path_factory.mktemp("run"), cors_origins=ORIGINS) as gateway:
        yield gateway


@pytest.fixture
def gateway(allowing: Any) -> Any:
    """Return it, its service as new."""
    allowing.service.reset()
    return allowing


def origin(name: str) -> str:
    """Return the header line of a page's origin."""
    return f"Origin: {name}"


def preflight(
    page: str, method: str = "POST", *headers: str, path: str = MINT, **options: Any
) -> bytes:
    """Return what a browser asks before it asks."""
    lines = [origin(page), f"Access-Control-Request-Method: {method}"]
    lines += [f"Access-Control-Request-Headers: {names}" for names in headers]
    return request(*lines, *options.pop("more", ()), method="OPTIONS", path=path, **options)


def check_hidden(answer: RawAnswer | None, status: int) -> None:
    """Check that no page may read an answer."""
    assert answer is not None
    assert answer.status == status
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def check_shown(answer: RawAnswer | None, status: int, page: str = OURS) -> RawAnswer:
    """Check that a page may read an answer, and all of it that it needs."""
    assert answer is not None
    assert answer.status == status, answer
    assert answer.headers["access-control-allow-origin"] == page
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert "date" in exposed
    names = "retry-after x-request-id x-trace-id traceresponse www-authenticate allow ratelimit"
    for name in names.split():
        assert (name in answer.headers) == (name in exposed), name
    return answer


async def test_a_preflight_says_what_the_route_allows(gateway: Any) -> None:
    """It is 204 with the route's methods, the headers that were asked for, and for how long."""
    answer = await exchange(gateway.port, preflight(OURS, "POST", ASKED_BY_THE_CLIENT))
    assert answer is not None
    assert (answer.status, answer.body) == (204, None)
    for name, value in {
        "access-control-allow-origin": OURS,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "OPTIONS, POST",
        "access-control-allow-headers": ASKED_BY_THE_CLIENT.replace(",", ", "),
        "access-control-max-age": "7200",
        "vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "cache-control": "no-store",
    }.items():
        assert answer.headers[name] == value
    assert answer.headers["x-request-id"]
    assert gateway.service.requests == []


async def test_a_preflight_of_another_route(gateway: Any) -> None:
    """Each has its own methods; a page's label is any, and answered as itself."""
    page = "https://pr-7.preview.example.com"
    answer = await exchange(gateway.port, preflight(page, "GET", path=MINT + "/usage/"))
    assert answer is not None
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == page
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "access-control-allow-headers" not in answer.headers


async def test_only_headers_that_mean_something_are_allowed(gateway: Any) -> None:
    """Of those asked for, in whichever case and on however many lines."""
    asked = ("X-API-Key , Cookie,Grpc-Metadata-Tenant,,", "x-evil, accept, x-api-key, Grpc-Timeout")
    answer = await exchange(gateway.port, preflight(OURS, "PUT", *asked))
    assert answer is not None
    assert answer.status == 204
    allowed = "x-api-key, grpc-metadata-tenant, accept, grpc-timeout"
    assert answer.headers["access-control-allow-headers"] == allowed
    assert "PUT" not in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "page",
    [
        STRANGER,
        "null",
        "",
        "https://app.example.com.evil.example",
        "https://a.b.preview.example.com",
        "https://preview.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://evil.example#.preview.example.com",
        "HTTPS://APP.EXAMPLE.COM",
        "*",
    ],
)
async def test_a_stranger_is_refused_cleanly(gateway: Any, page: str) -> None:
    """A preflight of an origin that is not allowed is 403 in the one body; nothing is asked."""
    answer = await exchange(gateway.port, preflight(page, "POST", "authorization"))
    check_hidden(answer, 403)
    assert answer is not None
    assert answer.body["code"] == "PERMISSION_DENIED"
    assert answer.body["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["vary"].startswith("Origin, Access-Control-Request-Method")
    assert gateway.service.requests == []


async def test_two_origins_are_none(gateway: Any) -> None:
    """A request with two is from no browser, and none of them is allowed."""
    check_hidden(await exchange(gateway.port, preflight(OURS, more=(origin(OURS),))), 403)
    check_hidden(await exchange(gateway.port, request(AUTH, origin(OURS), origin(STRANGER))), 200)


async def test_what_a_stranger_sends_without_asking_gets_nothing(gateway: Any) -> None:
    """A simple request, which has no credentials, is 401, and its page cannot read even that."""
    check_hidden(await exchange(gateway.port, request(origin(STRANGER))), 401)


async def test_an_answer_is_shown_to_its_page(gateway: Any) -> None:
    """With all headers that a client of ours reads, the server's metadata too."""
    gateway.service.initial = (("tenant", "blue"),)
    answer = check_shown(await exchange(gateway.port, request(AUTH, origin(OURS))), 200)
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"ratelimit", "ratelimit-policy", "retry-after"} <= set(exposed)
    assert "grpc-metadata-tenant" in exposed
    assert not {name for name in exposed if name.startswith(("access-control", "vary"))}


async def test_without_an_origin_nothing_is_said(gateway: Any) -> None:
    """What is no page's is answered as ever."""
    check_hidden(await exchange(gateway.port, request(AUTH)), 200)
    check_hidden(await exchange(gateway.port, request(method="OPTIONS")), 204)


@pytest.mark.parametrize(
    "data, status",
    [
        (request(origin(OURS), AUTH, JSON, "Content-Length: 1", body=b"{"), 400),
        (request(origin(OURS), AUTH, "Host: y"), 400),
        (request(origin(OURS)), 401),
        (request(origin(OURS), AUTH, method="GET", path=MINT + "/stats"), 403),
        (request(origin(OURS), AUTH, path="/none"), 404),
        (request(origin(OURS), AUTH, method="GET"), 405),
        (request(origin(OURS), AUTH, "Accept: text/plain"), 406),
        (request(origin(OURS), AUTH, JSON, "Content-Length: 100000"), 413),
        (request(origin(OURS), AUTH, path="/" + "x" * 9_000), 414),
        (request(origin(OURS), AUTH, "Content-Length: 2", body=b"{}"), 415),
        (request(origin(OURS), AUTH, *(f"X-{n}: x" for n in range(99))), 431),
        (request(origin(OURS), method="POST", path="/docs"), 405),
        (request(origin(OURS), method="GET", path="/openapi.json"), 200),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_refusals_are_shown_too(gateway: Any, data: bytes, status: int) -> None:
    """Whichever layer an answer is from, the page reads why, if its origin was read."""
    check_shown(await exchange(gateway.port, data), status)


async def test_a_preflight_of_no_path_is_404(gateway: Any) -> None:
    """It is the answer that the request would have, and says what is wrong."""
    answer = await exchange(gateway.port, preflight(OURS, path="/none"))
    assert answer is not None
    assert answer.status == 404
    assert answer.headers["access-control-allow-origin"] == OURS


@pytest.mark.parametrize(
    "error, status",
    [(errors.Unavailable(), 503), (ZeroDivisionError("x"), 500)],
)
async def test_failures_are_shown_too(gateway: Any, error: Exception, status: int) -> None:
    """A page can tell an outage from a refusal, and when to come back."""
    gateway.service.failure = error
    check_shown(await exchange(gateway.port, request(AUTH, origin(OURS))), status)


async def test_what_comes_too_slowly_or_too_late_is_shown_too(launch: Any) -> None:
    """So are a body that does not come, and a request that a stop cuts off."""
    async with launch(cors_origins=ORIGINS, body_timeout_ms=20) as gateway:
        data = request(AUTH, origin(OURS), JSON, "Content-Length: 9")
        check_shown(await exchange(gateway.port, data), 408)
        async with connect(gateway.port) as connection:
            gateway.service.held = asyncio.Event()
            connection.send(request(AUTH, origin(OURS)))
            await gateway.service.entered.wait()
            gateway.stop.set()
            check_shown(await connection.answer(), 503)
            await gateway.server


async def test_by_default_no_page_of_another_origin_reads(launch: Any) -> None:
    """No origin is allowed that nobody named."""
    async with launch() as gateway:
        check_hidden(await exchange(gateway.port, preflight(OURS)), 403)
        check_hidden(await exchange(gateway.port, request(AUTH, origin(OURS))), 200)


async def test_anyone_may_read_without_credentials(launch: Any) -> None:
    """`*` is answered as `*`, and never with credentials."""
    settings = {"cors_origins": ("*",), "cors_credentials": False, "cors_max_age_seconds": 9}
    async with launch(**settings) as gateway:
        for data in (preflight(STRANGER), request(AUTH, origin(STRANGER))):
            answer = await exchange(gateway.port, data)
            assert answer is not None
            assert answer.status < 300
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers
            assert answer.headers.get("access-control-max-age", "9") == "9"


async def test_credentials_can_be_left_out(launch: Any) -> None:
    """Where no page needs cookies or certificates, none is told that it may send them."""
    async with launch(cors_origins=ORIGINS, cors_credentials=False) as gateway:
        answer = await exchange(gateway.port, request(AUTH, origin(OURS)))
        assert answer is not None
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "access-control-allow-credentials" not in answer.headers
