"""`POST /{version}/auth_tokens` and `GET /{version}/models`, as Google answers them."""

from typing import Any

import aiohttp
import pytest

RIGHT = {"x-goog-api-key": "emulator-key"}


async def error_of(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the error that Google's envelope holds."""
    body = await answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert error["code"] == answer.status
    return error


@pytest.mark.parametrize("path", ["/v1beta/auth_tokens", "/v1alpha/auth_tokens"])
@pytest.mark.parametrize("body", ["", "{}", '{"uses": 1}', '{"new_session_expire_time": null}'])
async def test_a_mint_answers_the_name_and_nothing_else(
    http: aiohttp.ClientSession, path: str, body: str
) -> None:
    """Both versions mint, also without a body, and answer only a name."""
    async with http.post(path, data=body, headers=RIGHT) as answer:
        assert answer.status == 200
        token = await answer.json()
    assert list(token) == ["name"]
    assert token["name"].startswith("auth_tokens/")


async def test_the_key_may_be_in_the_query(http: aiohttp.ClientSession) -> None:
    """`?key=` is as good as the header."""
    async with http.post("/v1beta/auth_tokens?key=emulator-key", json={}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "method,path", [("POST", "/v1beta/auth_tokens"), ("GET", "/v1beta/models")]
)
async def test_a_wrong_key_is_invalid_and_a_missing_one_is_denied(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    """A wrong key is 400 API_KEY_INVALID, no key is 403 PERMISSION_DENIED."""
    async with http.request(method, path, headers={"x-goog-api-key": "wrong"}) as answer:
        error = await error_of(answer)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert error["details"][0]["reason"] == "API_KEY_INVALID"
    async with http.request(method, path) as answer:
        error = await error_of(answer)
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "body,message",
    [
        ('{"foo": 1}', "Unknown name \"foo\" at 'auth_token': Cannot find field."),
        ('{"authToken": {}}', "Unknown name \"authToken\" at 'auth_token': Cannot find field."),
        (
            '{"bidiGenerateContentSetup": {"foo": 1}}',
            "Unknown name \"foo\" at 'auth_token.bidi_generate_content_setup': Cannot find field.",
        ),
        ('{"uses": "many"}', "Invalid value at 'auth_token.uses' (TYPE_INT32), \"many\""),
        ('{"expireTime": "2020-01-01T00:00:00Z"}', "expire_time must be in the future."),
        ('{"expireTime": "2020-01-01T00:00:00"}', "Illegal timestamp format"),
        ("[]", "Invalid value at 'auth_token' (MESSAGE), []"),
        ("{", "Invalid JSON payload received."),
    ],
)
async def test_a_bad_body_is_an_invalid_argument(
    http: aiohttp.ClientSession, body: str, message: str
) -> None:
    """What does not fit is 400 INVALID_ARGUMENT with a google.rpc.BadRequest that says why."""
    async with http.post("/v1beta/auth_tokens", data=body, headers=RIGHT) as answer:
        error = await error_of(answer)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert message in error["message"]
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert error["details"][0]["fieldViolations"][0]["description"] == error["message"]


@pytest.mark.parametrize(
    "method,path",
    [
        ("POST", "/v1/auth_tokens"),
        ("POST", "/auth_tokens"),
        ("GET", "/v1beta/auth_tokens"),
        ("GET", "/v1beta/models/gemini-1.0"),
        ("GET", "/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent"),
        ("GET", "/"),
    ],
)
async def test_what_is_not_there_is_not_found(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    """Other versions, methods and paths are 404 in Google's shape."""
    async with http.request(method, path, headers=RIGHT) as answer:
        error = await error_of(answer)
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")


async def test_models_are_listed_by_pages(http: aiohttp.ClientSession) -> None:
    """The Live models come in pages of `pageSize`, each leading to the next."""
    names: list[str] = []
    token = "0"
    while token:
        path = f"/v1beta/models?pageSize=2&pageToken={token}"
        async with http.get(path, headers=RIGHT) as answer:
            page = await answer.json()
        names += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken", "")
    assert names == [
        "models/gemini-3.8-live",
        "models/gemini-3.8-live-extended-thinking",
        "models/gemini-3.1-flash-live-preview",
    ]
    async with http.get("/v1beta/models?pageSize=some", headers=RIGHT) as answer:
        assert (await error_of(answer))["status"] == "INVALID_ARGUMENT"


async def test_one_model_can_be_read(http: aiohttp.ClientSession) -> None:
    """A model shows that it is for the Live API."""
    async with http.get("/v1alpha/models/gemini-3.8-live", headers=RIGHT) as answer:
        model = await answer.json()
    assert model["supportedGenerationMethods"] == ["bidiGenerateContent"]


async def test_health_needs_no_key(http: aiohttp.ClientSession) -> None:
    """`/healthz` is 200 when the emulator is ready."""
    async with http.get("/healthz") as answer:
        assert answer.status == 200
