"""What the descriptors of the live-token API cannot say of it."""

from gateway.openapi.api import Api, Example
from gateway.openapi.live_token_headers import ANSWER, REQUEST
from gateway.openapi.live_token_refusals import CASES, FORMS, needs_credentials
from gateway.openapi.live_token_schemas import SCHEMAS
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json

_PACKAGE = "tokenservice.v1"
_SERVICE = f"{_PACKAGE}.TokenService"

_DESCRIPTION = """\
Issues short-lived, single-use tokens for Google's Gemini Live API.

Every answer is JSON. A trailing slash works; `HEAD` works where `GET` does; `OPTIONS` is 204
with `Allow`. Unknown fields and parameters are refused.

`Grpc-Metadata-<name>` headers become metadata of the RPC, and the server's metadata
headers of the answer. A refusal is `application/problem+json` for whoever names that in
`Accept`, and likes it no less than `application/json` there.

The same service is `tokenservice.v1.TokenService` over gRPC."""

# Whole numbers up to the most that can be configured, 19 hours and 59 minutes, in digits.
_MINUTES = "^0{0,16}([1-9][0-9]{0,2}|1[01][0-9]{2})$"
# No controls but tab and newline, no embeddings, overrides and isolates of UAX #9; lines may
# end in CR, which becomes LF.
_PLAIN_TEXT = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$"

_FIELDS: dict[str, dict[str, Json]] = {
    "CreateTokenRequest.response_modality": {
        "pattern": "^([Tt][Ee][Xx][Tt]|[Aa][Uu][Dd][Ii][Oo])?$"
    },
    "CreateTokenRequest.duration_minutes": {"minimum": 1, "maximum": 1199, "pattern": _MINUTES},
    "CreateTokenRequest.system_instruction": {"maxLength": 1000, "pattern": _PLAIN_TEXT},
    "CreateTokenRequest.temperature": {"minimum": 0, "maximum": 2},
    "CreateTokenResponse.token": {"pattern": "^auth_tokens/"},
    "TokenConstraints.response_modality": {"enum": ["TEXT", "AUDIO"]},
    "TokenConstraints.requested_model_retired_on": {"format": "date"},
    "LimitUse.limit": {
        "enum": ["tokens_per_hour", "tokens_per_day", "cooldown", "concurrent_sessions"]
    },
    "Health.status": {"const": "SERVING"},
}

_ALWAYS_THERE = (
    "CreateTokenResponse.expire_time",
    "CreateTokenResponse.new_session_expire_time",
    "CreateTokenResponse.constraints",
    "CreateTokenResponse.usage",
    "Usage.limits",
    "GetUsageResponse.data",
    "GetHealthResponse.data",
    "GetConfigResponse.data",
    "Config.limits",
    "GetStatsResponse.data",
    "Stats.uptime",
)

_LIMITS: Json = {"tokensPerHour": 10, "tokensPerDay": 100}
_COOLDOWN_ENDS = "2026-01-01T00:05:00.000Z"
_USAGE: Json = {
    "activeTokens": 1,
    "tokensLastHour": 1,
    "tokensLastDay": 1,
    "limits": _LIMITS,
    "nextAllowedAt": _COOLDOWN_ENDS,
    "byLimit": [
        {"limit": "tokens_per_hour", "value": 10, "used": 1},
        {"limit": "tokens_per_day", "value": 100, "used": 1},
        {"limit": "cooldown", "value": 300, "used": 300, "nextAllowedAt": _COOLDOWN_ENDS},
    ],
}
_TOKEN: Json = {
    "success": True,
    "token": "auth_tokens/…",
    "expiresAt": "2026-01-01T00:30:00.000Z",
    "sessionStartWindow": "2026-01-01T00:02:00.000Z",
    "constraints": {"model": "gemini-3.8-live", "maxDuration": 30, "responseModality": "TEXT"},
    "usage": _USAGE,
    "decisionId": "9f86d081884c7d65",
    "apiVersion": "v1beta",
}
_CONFIG: Json = {
    "defaultModel": "gemini-3.8-live",
    "allowedModels": ["gemini-3.8-live", "gemini-3.1-flash-live-preview"],
    "modelAliases": {"gemini-2.0-flash-live-001": "gemini-3.8-live"},
    "tokenDurationMinutes": 30,
    "maxTokenDurationMinutes": 60,
    "sessionStartWindowMinutes": 2,
    "customInstructionsAllowed": False,
    "limits": _LIMITS,
    "cooldownMinutes": 5,
    "maxConcurrentSessions": 0,
    "apiVersion": "v1beta",
}
_HEALTH: Json = {"status": "SERVING", "dependencies": {"gemini": "SERVING", "policy": "SERVING"}}
_STATS: Json = {
    "tokensLastHour": "12",
    "tokensLastDay": "240",
    "activeTokens": "6",
    "activeUsers": "31",
    "pendingReservations": "1",
    "uptime": "12.345s",
}


def _answer(data: Json) -> dict[str, Json]:
    return {"success": {"success": True, "data": data}}


_EXAMPLES = {
    "CreateToken": Example(
        requests={
            "nothing": {},
            "all": {
                "model": "gemini-3.8-live",
                "responseModality": "TEXT",
                "duration": 15,
                "temperature": 0.7,
            },
        },
        answers={"success": _TOKEN},
    ),
    "GetUsage": Example(answers=_answer(_USAGE)),
    "GetHealth": Example(answers=_answer(_HEALTH)),
    "GetConfig": Example(answers=_answer(_CONFIG)),
    "GetStats": Example(answers=_answer(_STATS)),
}


def _security(binding: Binding) -> list[Json]:
    if not needs_credentials(binding):
        return []
    return [{"bearer": []}, {"apiKey": []}, {"dpop": []}]


LIVE_TOKEN = Api(
    information={
        "title": "Live token",
        "version": "2.0.0",
        "summary": "Tokens for the Gemini Live API",
        "description": _DESCRIPTION,
        "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    },
    services=frozenset({_SERVICE}),  # operators' own is off by default, and for our page alone
    servers=[{"url": "/", "description": "The gateway that serves this document"}],
    tags={_SERVICE: "Live token"},
    security_schemes={
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JWT of a trusted issuer, with `exp` and a subject.",
        },
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "For programs. With it, no other credentials are judged.",
        },
        "dpop": {
            "type": "http",
            "scheme": "DPoP",
            "description": "A JWT that its issuer bound to a key, with a proof of possession of "
            "that key in the header `DPoP` (RFC 9449), where these are on.",
        },
    },
    security=_security,
    envelope=lambda schema: {"allOf": [{"$ref": "#/components/schemas/Success"}, schema]},
    fields={f"{_PACKAGE}.{name}": keywords for name, keywords in _FIELDS.items()},
    always_there=frozenset(f"{_PACKAGE}.{name}" for name in _ALWAYS_THERE),
    text_floats=False,
    request_headers=REQUEST,
    answer_headers=ANSWER,
    refusals=CASES,
    refusal_forms=FORMS,
    schemas=SCHEMAS,
    examples={f"{_SERVICE}.{name}": example for name, example in _EXAMPLES.items()},
)
