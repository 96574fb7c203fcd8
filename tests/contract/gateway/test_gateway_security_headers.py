"""What answers tell browsers not to do with them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from authority import Authority, Kit
from raw_http import MINT, exchange, request
from starlette.responses import PlainTextResponse

from gateway import http_server
from gateway.settings import GatewaySettings
from serving.certificates import Certificates

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
LIVE_URL = "ws://127.0.0.1:8090"
PAGES = [
    "/",
    "/playground/app.js",
    "/live-token-client/index.js",
    "/ops",
    "/ops/app.js",
    "/docs",
    "/openapi.json",
]
CLOSED = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory, launch_at: Any) -> AsyncIterator[Any]:
    """Run a gateway with all its pages."""
    settings = {"ops": True, "playground": True, "playground_live_url": LIVE_URL}
    async with launch_at(tmp_path_factory.mktemp("run"), **settings) as gateway:
        yield gateway


async def headers_of(gateway: Any, path: str, *, accept_encoding: str = "identity") -> Any:
    """Return the headers of a page."""
    asking = {"Accept-Encoding": accept_encoding}
    async with gateway.browser.session.get(gateway.browser.base + path, headers=asking) as answer:
        assert answer.status == 200
        return answer.headers


def policy_of(headers: Any) -> dict[str, str]:
    """Return a Content-Security-Policy by its directives."""
    (policy,) = headers.getall("Content-Security-Policy")
    directives = [each.strip().partition(" ") for each in policy.split(";")]
    assert len({name for name, _, _ in directives}) == len(directives)
    return {name: value for name, _, value in directives}


@pytest.mark.parametrize(
    "data, status",
    [
        (request(AUTH), 200),
        (request(AUTH, method="OPTIONS"), 204),
        (request(), 401),
        (request(path="/none"), 404),
        (request(path="/docs"), 405),
        (b"nonsense\r\n\r\n", 400),
        (request(path="/" + "x" * 9_000), 414),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_an_answer_of_the_api_is_no_page(site: Any, data: bytes, status: int) -> None:
    """Shown in a browser it may do nothing, be framed by none, and be embedded by no other site."""
    answer = await exchange(site.port, data)
    assert answer is not None
    assert answer.status == status
    for name, value in {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }.items():
        assert answer.headers[name] == value
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_do_no_more_than_it_must(site: Any, path: str) -> None:
    """Scripts and styles are files of ours; nothing is inline, evaluated or from elsewhere."""
    headers = await headers_of(site, path)
    policy = policy_of(headers)
    assert policy.items() >= CLOSED.items()
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:"} & {
        word for value in policy.values() for word in value.split()
    }
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_playground_reaches_the_model_and_hears(site: Any) -> None:
    """Beside this origin it reaches the model's alone, and only it may ask for the microphone."""
    headers = await headers_of(site, "/")
    policy = policy_of(headers)
    assert policy["connect-src"] == f"'self' {LIVE_URL}"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "microphone=(self)" in headers["Permissions-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]


async def test_the_operations_page_makes_no_html_of_text(site: Any) -> None:
    """What others wrote, such as the reason of a block, can become no script."""
    policy = policy_of(await headers_of(site, "/ops"))
    assert policy["require-trusted-types-for"] == "'script'"


@pytest.mark.parametrize("path", ["/docs", "/ops"])
async def test_the_other_pages_reach_nobody_else(site: Any, path: str) -> None:
    """They ask this origin, and have no use for any device."""
    headers = await headers_of(site, path)
    assert policy_of(headers)["connect-src"] == "'self'"
    assert "microphone=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize("method, path", [("POST", MINT), ("GET", f"{MINT}/config"), ("GET", "/x")])
async def test_no_answer_of_the_api_is_compressed(site: Any, method: str, path: str) -> None:
    """Its length must not tell, try by try, what of a token or a request it holds (BREACH)."""
    data = request(AUTH, "Accept-Encoding: gzip, deflate, br", method=method, path=path)
    answer = await exchange(site.port, data)
    assert answer is not None
    assert "content-encoding" not in answer.headers


async def test_pages_are_compressed(site: Any) -> None:
    """There is no secret in a file, and it is sent to everybody."""
    for path in ("/", "/docs/swagger-ui-bundle.js"):
        headers = await headers_of(site, path, accept_encoding="gzip")
        assert headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("seconds", [31_536_000, 0])
async def test_https_is_for_good(tmp_path: Path, seconds: int) -> None:
    """A gateway that serves HTTPS asks for nothing else, of this host alone, or to forget it."""
    ours = Authority()
    kit = Kit(tmp_path, "gateway").put(ours.issue("localhost", ip=IPv4Address("127.0.0.1")), ours)
    settings = GatewaySettings(port=0, drain_seconds=1, hsts_max_age_seconds=seconds)
    listener = http_server.listen(settings.host, settings.port)
    stop = asyncio.Event()
    https = Certificates(kit.files(ca=False))
    app = PlainTextResponse("served")
    serving = asyncio.create_task(http_server.serve(app, listener, settings, stop, https=https))
    context = ssl.create_default_context(cadata=ours.pem.decode())
    origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
    async with aiohttp.ClientSession() as session:
        for path, status in (("/", 200), ("/" + "x" * 9_000, 414)):
            async with session.get(origin + path, ssl=context) as answer:
                assert answer.status == status
                assert answer.headers["Strict-Transport-Security"] == f"max-age={seconds}"
    stop.set()
    await serving
