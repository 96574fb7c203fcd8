"""The pages for browsers: what is at which path, in which form, and that the rest is the API's."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from raw_http import exchange, request

import gateway as gateway_package
from gateway.pages.assets import CONTENT_TYPES
from gateway.pages.site import make_pages
from gateway.settings import GatewaySettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM = Path(gateway_package.__file__).parent
LIVE_URL = "ws://127.0.0.1:8090"
SWITCHED = {
    "playground": ["/", "/playground/app.js", "/playground/config.json"],
    "ops": ["/ops/app.js", "/ops/style.css"],
    "docs": [
        "/docs",
        "/docs/",
        "/docs/initializer.js",
        "/docs/swagger-ui-bundle.js",
        "/openapi.json",
    ],
}
SHARED = ["/common/elements.js", "/live-token-client/index.js"]
"""What two of them need, and the reference does not."""
OPS = ["/ops", "/ops/", "/ops/index.html"]
PATHS = [path for paths in (*SWITCHED.values(), SHARED) for path in paths]


class Web:
    """Asks a gateway as a browser does, but takes bytes as they come."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port = port
        self._origin = f"http://127.0.0.1:{port}"
        self._session = session

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        """Return an answer's status, headers and bytes."""
        named = {"Accept-Encoding": "identity"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, self._origin + path, headers=named) as answer:
            return answer.status, answer.headers, await answer.read()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def web(tmp_path_factory: pytest.TempPathFactory, launch_at: Any) -> AsyncIterator[Web]:
    """Run a gateway with all its pages."""
    settings = {"ops": True, "playground": True, "playground_live_url": LIVE_URL}
    async with (
        launch_at(tmp_path_factory.mktemp("run"), **settings) as running,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        yield Web(running.port, session)


@pytest.mark.parametrize(
    "path, file, content_type",
    [
        ("/", "pages/playground/index.html", "text/html; charset=utf-8"),
        ("/playground/app.js", "pages/playground/app.js", "text/javascript; charset=utf-8"),
        ("/playground/style.css", "pages/playground/style.css", "text/css; charset=utf-8"),
        ("/common/icon.svg", "pages/common/icon.svg", "image/svg+xml"),
        ("/live-token-client/index.js", "pages/live-token-client/index.js", "text/javascript"),
        ("/live-token-client/index.d.ts", "pages/live-token-client/index.d.ts", "text/plain"),
        ("/live-token-client/README.md", "pages/live-token-client/README.md", "text/markdown"),
        (
            "/live-token-client/package.json",
            "pages/live-token-client/package.json",
            "application/json",
        ),
        ("/common/common.css", "pages/common/common.css", "text/css; charset=utf-8"),
        ("/ops", "pages/ops/index.html", "text/html; charset=utf-8"),
        ("/ops/", "pages/ops/index.html", "text/html; charset=utf-8"),
        ("/docs", "pages/docs/index.html", "text/html; charset=utf-8"),
        ("/docs/", "pages/docs/index.html", "text/html; charset=utf-8"),
        ("/openapi.json", "openapi.json", "application/json"),
    ],
)
async def test_a_path_is_a_file(web: Web, path: str, file: str, content_type: str) -> None:
    """Each is what is committed, under the type that a browser needs to use it."""
    status, headers, body = await web.ask(path)
    assert status == 200
    assert headers["Content-Type"].startswith(content_type)
    assert body == (ROOM / file).read_bytes()
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_playground_knows_where_the_model_is(web: Web) -> None:
    """Its configuration is of the settings."""
    _, headers, body = await web.ask("/playground/config.json")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"liveUrl": LIVE_URL, "api": "/api/v1/live-token"}


@pytest.mark.parametrize("directory", ["common", "docs", "live-token-client", "ops", "playground"])
async def test_every_committed_file_is_served(web: Web, directory: str) -> None:
    """A file whose type nobody knows would be missing in a browser, and nowhere else."""
    for path in (ROOM / "pages" / directory).iterdir():
        assert path.suffix in CONTENT_TYPES, path
        status, _, body = await web.ask(f"/{directory}/{path.name}")
        assert (status, body) == (200, path.read_bytes())


@pytest.mark.parametrize("path", PATHS)
async def test_pages_are_kept_and_asked_for_again(web: Web, path: str) -> None:
    """A browser that has a page is told so, under a strong tag that is the coding's own."""
    tags = set()
    for coding in ("identity", "gzip"):
        status, headers, body = await web.ask(path, Accept_Encoding=coding)
        assert (status, headers["Cache-Control"]) == (200, "no-cache")
        tag = headers["ETag"]
        assert tag.startswith('"')
        tags.add((headers.get("Content-Encoding"), tag))
        for known in (tag, f'"other", W/{tag}', "*"):
            status, headers, body = await web.ask(path, Accept_Encoding=coding, If_None_Match=known)
            assert (status, body) == (304, b"")
            assert headers["ETag"] == tag
            assert headers["Cache-Control"] == "no-cache"
            assert headers["Vary"] == "Accept-Encoding, Origin"
        status, _, _ = await web.ask(path, Accept_Encoding=coding, If_None_Match='"other", x')
        assert status == 200
    assert len({tag for _, tag in tags}) == len(tags)


@pytest.mark.parametrize("path", OPS)
async def test_the_operations_page_is_kept_nowhere(web: Web, path: str) -> None:
    """Nor does a browser keep it as it was left, with what it showed."""
    status, headers, _ = await web.ask(path)
    assert (status, headers.getall("Cache-Control")) == (200, ["no-store"])


@pytest.mark.parametrize(
    "accepted, coding",
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1, GZIP;q=0.5, *;q=0", "gzip"),
        ("*", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("gzip ; q=1.000", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *", None),
        ("*;q=0", None),
        ("identity", None),
        ("gzip;q=0.4, identity;q=0.5", None),
        ("br", None),
        ("", None),
        ("gzip;q=high", None),
        ("gzipped", None),
    ],
)
async def test_compression_is_as_the_client_likes_it(
    web: Web, accepted: str, coding: str | None
) -> None:
    """By its weights; without a word it is plain."""
    _, plain_headers, plain = await web.ask("/docs/swagger-ui.css")
    assert int(plain_headers["Content-Length"]) == len(plain)
    _, headers, body = await web.ask("/docs/swagger-ui.css", Accept_Encoding=accepted)
    assert headers.get("Content-Encoding") == coding
    assert "Accept-Encoding" in headers["Vary"]
    assert (gzip.decompress(body) if coding else body) == plain
    if coding:
        assert len(body) < len(plain) / 2


async def test_what_does_not_shrink_is_not_compressed(web: Web) -> None:
    """A picture is compressed already, and a few bytes would only grow."""
    for path in ("/docs/favicon-32x32.png", "/playground/config.json"):
        _, headers, _ = await web.ask(path, Accept_Encoding="gzip")
        assert "Content-Encoding" not in headers


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_its_body(web: Web, path: str) -> None:
    """With the same headers, in both codings."""
    for coding in ("identity", "gzip"):
        _, got, _ = await web.ask(path, Accept_Encoding=coding)
        status, headers, body = await web.ask(path, "HEAD", Accept_Encoding=coding)
        assert (status, body) == (200, b"")
        for name in ("Content-Length", "Content-Type", "ETag", "Content-Encoding"):
            assert headers.get(name) == got.get(name)


@pytest.mark.parametrize("path", PATHS)
async def test_pages_are_only_read(web: Web, path: str) -> None:
    """Another method is 405 in the one body of all refusals, and OPTIONS tells which there are."""
    status, headers, _ = await web.ask(path, "OPTIONS")
    assert (status, headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        status, headers, body = await web.ask(path, method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert json.loads(body)["code"] == "METHOD_NOT_ALLOWED"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/playground",
        "/playground/",
        "/playground/none.js",
        "/playground/../settings.py",
        "/playground/..%2f..%2fsettings.py",
        "/playground/%2e%2e/%2e%2e/settings.py",
        "/playground//app.js",
        "/playground/app.js/",
        "/playground/app.js%00",
        "/playground/App.js",
        "/docs/../../settings.py",
        "/docs/swagger-editor-bundle.js",
        "/docs/trying%2ejs",
        "/live-token-client",
        "//docs",
        "/index.html",
        "/favicon.ico",
        "/pages/site.py",
        "/playground/site.py",
    ],
)
async def test_nothing_else_is_served(web: Web, path: str) -> None:
    """Only known names are; any other path is the 404 that it would be without pages."""
    answer = await exchange(web.port, request(method="GET", path=path))
    assert answer is not None
    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("switched_on", [[], ["playground"], ["docs"], ["ops"]])
async def test_what_is_off_is_not_there(launch: Any, switched_on: list[str]) -> None:
    """Its paths are 404 like any other; the API is as it was."""
    settings = {name: name in switched_on for name in SWITCHED}
    wanted = {path: settings[name] for name, paths in SWITCHED.items() for path in paths}
    wanted |= dict.fromkeys(SHARED, settings["playground"] or settings["ops"])
    wanted |= dict.fromkeys(OPS, settings["ops"])
    async with launch(**settings) as gateway:
        for path, there in wanted.items():
            async with gateway.browser.session.get(gateway.browser.base + path) as answer:
                assert answer.status == (200 if there else 404), path
        assert (await gateway.browser.ask("POST", "/api/v1/live-token")).status == 200


async def test_by_default_there_is_a_reference_and_nothing_else() -> None:
    """A playground is for those who want one, and so is the operations page."""
    paths = make_pages(GatewaySettings()).keys()
    assert paths >= set(SWITCHED["docs"])
    assert not paths & {*SWITCHED["playground"], *SWITCHED["ops"], *SHARED, *OPS}
