"""What refusals of the live-token API look like, as JSON Schemas."""

from gateway.transcoding.strict_json import Json

_REFUSAL: dict[str, Json] = {
    "success": {"type": "boolean", "const": False},
    "error": {"type": "string", "description": "A sentence for people, which may change."},
    "code": {
        "type": "string",
        "pattern": "^[A-Z][A-Z0-9_]*$",
        "description": "For programs: it does not change.",
    },
    "retryAfter": {
        "type": "integer",
        "minimum": 0,
        "description": "Seconds to wait, where waiting helps. As `Retry-After`.",
    },
    "requestId": {"type": "string", "description": "As `X-Request-Id`."},
    "traceId": {
        "type": "string",
        "pattern": "^[0-9a-f]{32}$",
        "description": "As `X-Trace-Id`, where there is a trace.",
    },
    "decisionId": {
        "type": "string",
        "description": "Policy's decision, once there is one: by it, an operator finds out why.",
    },
    "details": {
        "type": "array",
        "description": "What else is known, as messages of google.rpc.",
        "items": {"$ref": "#/components/schemas/Detail"},
    },
}
_REFUSAL_REQUIRED: list[Json] = ["success", "error", "code", "requestId", "details"]

_PROBLEM: dict[str, Json] = {
    "type": {
        "type": "string",
        "format": "uri",
        "description": "One of the draft on rate limits, or `about:blank`: `code` says more.",
    },
    "title": {"type": "string", "description": "The same for each problem of a type."},
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string", "description": "As `error`."},
    "instance": {"type": "string", "format": "uri", "description": "A URN of the request's id."},
    "violated-policies": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The limits that were met, or the rule that was broken, "
        "where the type is one of the draft's.",
    },
}


def _object(description: str, properties: dict[str, Json], required: list[Json]) -> Json:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _detail(name: str, description: str, properties: dict[str, Json]) -> Json:
    kind: Json = {"type": "string", "const": f"type.googleapis.com/google.rpc.{name}"}
    return _object(description, {"@type": kind, **properties}, ["@type"])


def _list_of(**properties: Json) -> Json:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "object", "additionalProperties": {"type": "string"}}

SCHEMAS: dict[str, Json] = {
    "Success": {
        "description": "What tells a success from a refusal.",
        "type": "object",
        "properties": {"success": {"type": "boolean", "const": True}},
        "required": ["success"],
    },
    "Refusal": _object("The body of every refusal.", _REFUSAL, _REFUSAL_REQUIRED),
    "Problem": _object(
        "A refusal as problem details (RFC 9457).",
        _PROBLEM | _REFUSAL,
        ["type", "title", "status", "detail", "instance", *_REFUSAL_REQUIRED],
    ),
    "Detail": {
        "anyOf": [
            {"$ref": f"#/components/schemas/{name}"}
            for name in ("ErrorInfo", "RetryInfo", "QuotaFailure", "BadRequest", "OtherDetail")
        ]
    },
    "ErrorInfo": _detail(
        "ErrorInfo",
        "Why. Of `health` there is one more for each dependency that is not serving, "
        "its `name` in the metadata.",
        {"reason": _TEXT, "domain": _TEXT, "metadata": _TEXTS},
    ),
    "RetryInfo": _detail(
        "RetryInfo",
        "When to come back.",
        {"retryDelay": {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?s$"}},
    ),
    "QuotaFailure": _detail(
        "QuotaFailure",
        "Which limit was met, and its height as `quotaValue`; of the cooldown, in seconds.",
        {
            "violations": _list_of(
                subject=_TEXT,
                description=_TEXT,
                quotaId=_TEXT,
                quotaValue={"type": "string", "format": "int64", "pattern": "^[0-9]{1,19}$"},
            )
        },
    ),
    "BadRequest": _detail(
        "BadRequest",
        "Which fields, parameters or headers are wrong, all of them.",
        {"fieldViolations": _list_of(field=_TEXT, description=_TEXT)},
    ),
    "OtherDetail": _object(
        "A detail of another type; of one that is not known here, `value` has its bytes.",
        {"@type": _TEXT, "value": {"type": "string", "contentEncoding": "base64"}},
        ["@type"],
    ),
}
