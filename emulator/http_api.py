"""The HTTP half of the Gemini API: minting tokens and listing models."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from emulator.core import EMULATOR
from emulator.errors import GoogleError, InvalidPayload, invalid_api_key, missing_api_key
from emulator.http_faults import meet
from emulator.journal import MintRecord, redacted
from emulator.models import MODELS
from emulator.schema import load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.core import Emulator

VERSIONS = "v1alpha|v1beta"
_MAX_PAGE = 1000

_log = logging.getLogger(__name__)


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes that Google serves."""
    version = f"/{{slashes:/*}}{{version:{VERSIONS}}}"
    return [
        web.post(f"{version}/auth_tokens", mint),
        web.get(f"{version}/models", list_models),
        web.get(f"{version}/models/{{model}}", get_model),
    ]


async def mint(request: web.Request) -> web.StreamResponse:
    """Issue a token: `POST /{version}/auth_tokens`."""
    emulator = request.app[EMULATOR]
    emulator.journal.counters.mint_requests += 1
    emulator.journal.mints.append(
        MintRecord(
            received_at=emulator.clock.now(),
            version=request.match_info["version"],
            headers=redacted(request.headers.items()),
        )
    )
    if answer := await meet(emulator, request, emulator.faults.take_http("mint")):
        return answer
    _check_key(emulator, request)
    body = await request.read()
    token = emulator.tokens.issue(load(body) if body.strip() else {})
    emulator.journal.counters.tokens_minted += 1
    _log.debug("minted a token, uses=%d, expires=%s", token.uses, token.expire_time)
    return web.json_response({"name": token.name})


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the Live models: `GET /{version}/models`."""
    emulator = request.app[EMULATOR]
    emulator.journal.counters.models_requests += 1
    if answer := await meet(emulator, request, emulator.faults.take_http("models")):
        return answer
    _check_key(emulator, request)
    size = _page_number(request, "pageSize") or len(MODELS)
    start = _page_number(request, "pageToken")
    end = start + min(size, _MAX_PAGE)
    page = [model.resource() for model in list(MODELS.values())[start:end]]
    more = {"nextPageToken": str(end)} if end < len(MODELS) else {}
    return web.json_response({"models": page, **more})


async def get_model(request: web.Request) -> web.StreamResponse:
    """Describe one model: `GET /{version}/models/{model}`."""
    _check_key(request.app[EMULATOR], request)
    name = f"models/{request.match_info['model']}"
    if name not in MODELS:
        version = request.match_info["version"]
        raise GoogleError(404, f"{name} is not found for API version {version}.")
    return web.json_response(MODELS[name].resource())


@web.middleware
async def google_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Say everything that goes wrong as Google does."""
    try:
        return await handler(request)
    except GoogleError as error:
        refusal = error
    except InvalidPayload as error:
        refusal = error.as_google_error()
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        refusal = GoogleError(404, f"{request.method} {request.path} is not found.")
    except web.HTTPException as error:
        refusal = GoogleError(error.status, error.reason)
    _log.debug("%s answered with %d %s", request.path, refusal.code, refusal.status)
    return web.json_response(refusal.body(), status=refusal.code)


def _check_key(emulator: Emulator, request: web.Request) -> None:
    key = request.headers.get("x-goog-api-key") or request.query.get("key")
    if not key:
        raise missing_api_key()
    if not secrets.compare_digest(key.encode(), emulator.options.api_key.encode()):
        raise invalid_api_key()


def _page_number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise InvalidPayload(f"Invalid value at '{name}' (TYPE_INT32), \"{text[:20]}\"", name)
    return int(text)
