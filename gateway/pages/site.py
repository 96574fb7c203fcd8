"""The pages for browsers, and what belongs to them, before the API."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import envelope, refusal
from gateway.pages import policies
from gateway.pages.assets import Asset, read_directory
from gateway.settings import GatewaySettings
from gateway.transcoding.asgi import raw_path
from gateway.transcoding.errors import MethodNotAllowedError
from serving.process import StartError

_HERE = Path(__file__).parent
_OPENAPI = _HERE.parent / "openapi.json"
_API = "/api/v1/live-token"
_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
_METHODS = ["GET", "HEAD", "OPTIONS"]


@dataclass(frozen=True)
class Page:
    """What is at a path: a file, and the headers that it has beside those of all answers."""

    asset: Asset
    headers: Mapping[str, str]


class Site:
    """Serves `pages`, by their exact raw paths; all other requests are the application's."""

    def __init__(self, app: ASGIApp, pages: Mapping[str, Page]) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        page = self._pages.get(raw_path(scope))
        if page is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await _answer(request, page)
        await response(scope, receive, send)


async def _answer(request: Request, page: Page) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ", ".join(_METHODS)})
    if request.method not in _METHODS:
        error = MethodNotAllowedError(request.method, _METHODS)
        return envelope.refuse(request, refusal.of_request(error))
    chosen = await page.asset.representation(request.headers)
    headers = {
        "Cache-Control": "no-cache",  # kept, but asked for again before it is used
        **page.headers,
        "ETag": chosen.entity_tag,
        "Vary": "Accept-Encoding",
    }
    if chosen.is_known(request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers=headers)
    if chosen.coding is not None:
        headers["Content-Encoding"] = chosen.coding
    response = Response(chosen.body, headers=headers, media_type=page.asset.content_type)
    if request.method == "HEAD":
        response.body = b""  # its headers, Content-Length too, are those of the GET
    return response


def make_pages(settings: GatewaySettings) -> Mapping[str, Page]:
    """Read the pages that are switched on; return them by path. Raises StartError."""
    pages: dict[str, Page] = {}
    if settings.ops:
        pages |= _ops()
    if settings.playground:
        pages |= _playground(settings.playground_live_url)
    if settings.docs:
        pages |= _docs()
    return pages


def _ops() -> Mapping[str, Page]:
    headers = policies.ops()
    assets = {**_shared(), **read_directory(_HERE / "ops", "/ops/")}
    pages = {path: Page(asset, headers) for path, asset in assets.items()}
    kept_nowhere = Page(assets["/ops/index.html"], {**headers, "Cache-Control": "no-store"})
    return pages | dict.fromkeys(("/ops", "/ops/", "/ops/index.html"), kept_nowhere)


def _playground(live_url: str) -> Mapping[str, Page]:
    assets = {
        **_shared(),
        **read_directory(_HERE / "playground", "/playground/"),
        "/playground/config.json": _json({"liveUrl": live_url, "api": _API}),
    }
    assets["/"] = assets["/playground/index.html"]
    headers = policies.playground(live_url)
    return {path: Page(asset, headers) for path, asset in assets.items()}


def _shared() -> Mapping[str, Asset]:
    """Read what is of more than one page: the parts of ours, and the JavaScript client."""
    return {
        path: asset
        for name in ("common", "live-token-client")
        for path, asset in read_directory(_HERE / name, f"/{name}/").items()
    }


def _docs() -> Mapping[str, Page]:
    library = _swagger_ui()
    assets = {
        **{f"/docs/{name}": Asset.read(library / name) for name in _SWAGGER_UI},
        **read_directory(_HERE / "docs", "/docs/"),
        "/openapi.json": Asset.read(_OPENAPI),
    }
    assets["/docs"] = assets["/docs/"] = assets["/docs/index.html"]
    headers = policies.docs()
    return {path: Page(asset, headers) for path, asset in assets.items()}


def _swagger_ui() -> Path:
    """Return where its files are. It is not imported: that would need a template engine."""
    found = importlib.util.find_spec("swagger_ui")
    if found is None or not found.submodule_search_locations:
        raise StartError("GATEWAY_DOCS: needs the package swagger-ui-py; install it, or set false")
    return Path(found.submodule_search_locations[0]) / "static"


def _json(content: Mapping[str, str]) -> Asset:
    return Asset("application/json", json.dumps(content).encode())
