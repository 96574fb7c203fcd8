"""The v2 contract's routes: who may, by which method, and that every answer is JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from live_token import CONFIG, HEALTH, MINT, MODEL, STATS, USAGE

if TYPE_CHECKING:
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

ROUTES = {MINT: "POST", USAGE: "GET", HEALTH: "GET", CONFIG: "GET", STATS: "GET"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OPERATOR = {"roles": ["operator"]}


def authorized(chain: Chain, **claims: Any) -> dict[str, str]:
    """Return a user's credentials as headers."""
    return {"Authorization": f"Bearer {chain.bearer(**claims)}"}


async def test_a_route_and_who_may(quick: Chain) -> None:
    """Health is everybody's, stats an operator's, the others those of whoever is known."""
    for path, method in ROUTES.items():
        nobody = await quick.call(method, path)
        user = await quick.call(method, path, headers=authorized(quick))
        operator = await quick.call(method, path, headers=authorized(quick, **OPERATOR))
        assert nobody.status == (200 if path == HEALTH else 401), path
        assert user.status == (403 if path == STATS else 200), path
        assert (operator.status, operator.body["success"]) == (200, True), path


async def test_a_trailing_slash_works(chain: Chain) -> None:
    """It is the same route, and no detour."""
    headers = authorized(chain, **OPERATOR)
    for path, method in ROUTES.items():
        answer = await chain.call(method, f"{path}/", headers=headers, allow_redirects=False)
        assert answer.status == 200, path


async def test_a_wrong_method_is_405_with_allow(chain: Chain) -> None:
    """In JSON, whoever asks; the header names the one that is right."""
    for path, right in ROUTES.items():
        for method in METHODS:
            for slash in ("", "/"):
                if method == right:
                    continue
                answer = await chain.call(method, path + slash)
                assert answer.status == 405, (method, path)
                allowed = answer.headers["Allow"].split(", ")
                assert right in allowed
                assert method not in allowed
                assert (answer.body["success"], answer.body["code"]) == (
                    False,
                    "METHOD_NOT_ALLOWED",
                )


async def test_an_unknown_path_is_404(chain: Chain) -> None:
    """In JSON, and with the one body of refusals."""
    unknown = ("/api", "/api/v1", "/api/v1/live-tokens", "/api/v2/live-token", "/no-such-page")
    other = (f"{USAGE}/ann", f"{MINT}//", "/API/V1/LIVE-TOKEN", f"{MINT}/none", "//")
    for path in (*unknown, *other):
        for method in ("GET", "POST"):
            answer = await chain.call(method, path)
            assert answer.status == 404, path
            assert (answer.body["success"], answer.body["code"]) == (False, "NOT_FOUND")
            assert isinstance(answer.body["error"], str)


async def test_every_answer_is_json(chain: Chain) -> None:
    """Of success and of refusal, known routes and unknown ones."""
    for method in METHODS:
        for path in (*ROUTES, f"{MINT}/none"):
            for headers in ({}, authorized(chain, **OPERATOR)):
                answer = await chain.call(method, path, headers=headers)
                assert answer.headers["Content-Type"].startswith("application/json")
                assert answer.body["success"] is (answer.status == 200)


async def test_a_post_without_a_body_or_a_type(chain: Chain) -> None:
    """It is a request for a token: no Content-Type is needed for nothing."""
    answer = await chain.call(subject="ann", skip_auto_headers=["Content-Type"])
    assert answer.status == 200


async def test_usage_has_the_contracts_shape(chain: Chain) -> None:
    """The caller's own, under `data`."""
    await chain.mint("bob")
    await chain.mint("ann")
    answer = await chain.call("GET", USAGE, subject="ann")
    assert answer.body["success"] is True
    data = {name: answer.body["data"][name] for name in answer.body["data"]}
    assert data.pop("nextAllowedAt") == "2026-01-01T00:05:00.000Z"
    data.pop("byLimit")
    assert data == {
        "activeTokens": 1,
        "tokensLastHour": 1,
        "tokensLastDay": 1,
        "limits": {"tokensPerHour": 10, "tokensPerDay": 100},
    }


async def test_config_tells_limits_and_models_and_no_secret(chain: Chain) -> None:
    """What is in force for the caller, and nothing that is not for it."""
    answer = await chain.call("GET", CONFIG, subject="ann")
    assert answer.body == {
        "success": True,
        "data": {
            "defaultModel": MODEL,
            "allowedModels": [MODEL, f"{MODEL}-extended-thinking"],
            "modelAliases": {
                "gemini-2.0-flash-live-001": MODEL,
                "gemini-live-2.5-flash-preview": MODEL,
            },
            "tokenDurationMinutes": 30,
            "maxTokenDurationMinutes": 60,
            "sessionStartWindowMinutes": 2,
            "customInstructionsAllowed": False,
            "limits": {"tokensPerHour": 10, "tokensPerDay": 100},
            "cooldownMinutes": 5,
            "maxConcurrentSessions": 0,
            "apiVersion": "v1beta",
        },
    }


async def test_stats_are_an_operators(keyed: Chain) -> None:
    """They count the fleet's tokens; to everybody else they are 403."""
    refused = await keyed.call("GET", STATS, subject="ann")
    assert (refused.status, refused.body["code"]) == (403, "PERMISSION_DENIED")
    for user in ("ann", "bob"):
        await keyed.mint(user)
    answer = await keyed.call("GET", STATS, headers=authorized(keyed, sub="op", **OPERATOR))
    data = answer.body["data"]
    counts = ("tokensLastHour", "tokensLastDay", "activeTokens", "activeUsers")
    assert [data[name] for name in counts] == ["2"] * 4
    key = await keyed.key("op", operator=True)
    assert (await keyed.call("GET", STATS, headers={"X-API-Key": key})).status == 200
