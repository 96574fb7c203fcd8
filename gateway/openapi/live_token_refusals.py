"""How the live-token API refuses, with an example of each, made by what makes real answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import grpc
from google.rpc import status_pb2

from gateway import problems, refusal
from gateway.negotiation import JSON, PROBLEM
from gateway.openapi.api import RefusalCase, RefusalForm, Which, everywhere
from gateway.refusal import Refusal
from gateway.transcoding import errors
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json
from serving import errors as outcomes, rendering

_REQUEST_ID = "3b9c8f5e0d7a4c1b8e2f6a5d4c3b2a19"
_DECISION_ID = "9f86d081884c7d65"


def needs_credentials(binding: Binding) -> bool:
    """Return whether an operation is for callers that are known."""
    return binding.rpc.name != "GetHealth"


def is_for_operators(binding: Binding) -> bool:
    """Return whether an operation is for operators alone."""
    return binding.rpc.name == "GetStats"


def mints(binding: Binding) -> bool:
    """Return whether an operation makes something, and so can be repeated under a key."""
    return "request_id" in binding.rpc.input_type.fields_by_name


def _may_be_asked_by_the_wrong(binding: Binding) -> bool:
    fields = binding.rpc.input_type.fields_by_name
    return is_for_operators(binding) or "on_behalf_of" in fields


@dataclass(frozen=True, slots=True)
class _Row:
    when: str
    refused: Refusal
    where: Which = everywhere


def _told(error: outcomes.ServiceError, reason: str = "", *, decided: bool = False) -> Refusal:
    """Return what the gateway makes of an outcome of tokenservice's."""
    error.reason = reason or error.reason
    if decided:
        error.metadata[outcomes.DECISION_ID] = _DECISION_ID
    status = status_pb2.Status.FromString(rendering.status_details(error))
    code = rendering.status_code(error)
    refused = refusal.of_call(errors.CallFailedError(code, error.message, status))
    return replace(refused, details=tuple(_stable(detail) for detail in refused.details))


def _stable(value: Json) -> Json:
    """Return the same with its members sorted: protobuf's maps have an order of their own."""
    if not isinstance(value, dict):
        return value
    return {name: _stable(value[name]) for name in sorted(value)}


def _blocked(reason: str, message: str) -> Refusal:
    return _told(outcomes.PermissionDenied(message, retry_after=7200), reason, decided=True)


def _abuse() -> Refusal:
    error = outcomes.Throttled(
        "The request was refused: it fits a pattern of abuse.", retry_after=600
    )
    error.metadata["rule"] = "volume"
    return _told(error, "ABUSE_DETECTED", decided=True)


def _not_serving() -> Refusal:
    error = outcomes.Unavailable("Tokens cannot be issued now; not serving: policy.")
    error.dependencies = {"policy": "POLICY_UNAVAILABLE"}
    return _told(error, "POLICY_UNAVAILABLE")


_ROWS = (
    _Row(
        "Syntax, type, range, an unknown or doubled field, parameter or header; names it.",
        refusal.of_request(
            errors.InvalidRequestError("is no parameter of this request", field="limit")
        ),
    ),
    _Row(
        "The model is not allowed, or unknown.",
        _told(
            outcomes.InvalidArgument("model", "is not one of the allowed models"),
            "MODEL_NOT_ALLOWED",
        ),
        mints,
    ),
    _Row(
        "A system instruction, while custom ones are off.",
        _told(
            outcomes.InvalidArgument(
                "systemInstruction", "custom system instructions are not allowed"
            ),
            "CUSTOM_INSTRUCTION_NOT_ALLOWED",
        ),
        mints,
    ),
    _Row("No, bad or expired credentials.", _told(outcomes.Unauthenticated()), needs_credentials),
    _Row(
        "Of an operator's, by somebody who is none; on behalf of another, by who may not.",
        _told(outcomes.PermissionDenied()),
        _may_be_asked_by_the_wrong,
    ),
    _Row(
        "The client's address is blocked.",
        _blocked("ADDRESS_BLOCKED", "This address is blocked."),
        needs_credentials,
    ),
    _Row(
        "The caller is blocked.",
        _blocked("USER_BLOCKED", "This user is blocked."),
        needs_credentials,
    ),
    _Row("There is no such path.", refusal.of_request(errors.UnknownPathError())),
    _Row(
        "The path has other methods; `Allow` names them.",
        refusal.of_request(errors.MethodNotAllowedError("PATCH", ["GET", "HEAD", "OPTIONS"])),
    ),
    _Row(
        "`Accept` allows none of the forms that answers have.",
        refusal.of_request(errors.NotAcceptableError([JSON, PROBLEM])),
    ),
    _Row(
        "The head or the body did not arrive in time; the connection ends.",
        refusal.of_request(errors.SlowBodyError()),
    ),
    _Row(
        "The first request with this key is at work.",
        _told(
            outcomes.Aborted(
                "A request with this idempotency key is still in progress.", retry_after=1
            ),
            "IDEMPOTENCY_KEY_IN_USE",
        ),
        mints,
    ),
    _Row("The body is too large.", refusal.of_request(errors.PayloadTooLargeError(65_536))),
    _Row("The URL is over 8 KiB.", refusal.of_request(errors.LongUrlError(8_192))),
    _Row(
        "A body that is not JSON in UTF-8, or is compressed.",
        refusal.of_request(
            errors.UnsupportedMediaTypeError(
                "The body must be application/json, and the Content-Type must say so.", {}
            )
        ),
    ),
    _Row(
        "The same key came with another content.",
        _told(
            outcomes.FailedPrecondition("This idempotency key was used for a different request."),
            "IDEMPOTENCY_KEY_REUSED",
        ),
        mints,
    ),
    _Row(
        "A limit was met; `QuotaFailure` names it.",
        _told(
            outcomes.QuotaExceeded(
                "Rate limit exceeded: 10 tokens per hour",
                outcomes.QuotaViolation("tokens_per_hour", "10 tokens per hour", 10),
                retry_after=1500,
            ),
            decided=True,
        ),
        mints,
    ),
    _Row(
        "A rule against abuse, which `rule` in the metadata of `ErrorInfo` names.",
        _abuse(),
        needs_credentials,
    ),
    _Row(
        "Too many headers, or too long ones, or too much `Grpc-Metadata-`.",
        refusal.of_request(errors.LargeHeadError(64, 16_384)),
    ),
    _Row("A defect of ours.", refusal.of_defect()),
    _Row(
        "Gemini refuses for our fault.",
        _told(
            outcomes.Internal("Tokens cannot be issued: the service is misconfigured."),
            "UPSTREAM_MISCONFIGURED",
        ),
        mints,
    ),
    _Row("Gemini, or tokenservice, is away, slow or full.", refusal.of_stopping()),
    _Row("Policy is away, slow or full: no decision, no token.", _not_serving()),
    _Row(
        "Tokenservice took too long, or longer than `Grpc-Timeout`.",
        refusal.of_call(errors.CallFailedError(grpc.StatusCode.DEADLINE_EXCEEDED)),
    ),
)

_BY_CODE = {row.refused.code: row.refused for row in _ROWS}

CASES = tuple(
    RefusalCase(row.refused.status, row.refused.code, row.when, row.where) for row in _ROWS
)


def _of_codes(schema: str) -> Callable[[Sequence[str]], Json]:
    def of_codes(codes: Sequence[str]) -> Json:
        return {
            "allOf": [
                {"$ref": f"#/components/schemas/{schema}"},
                {"properties": {"code": {"enum": list(codes)}}},
            ]
        }

    return of_codes


def _body(case: RefusalCase) -> Json:
    return _BY_CODE[case.code].body(_REQUEST_ID)


def _problem(case: RefusalCase) -> Json:
    return problems.problem(_BY_CODE[case.code], _REQUEST_ID)


FORMS = (
    RefusalForm(JSON, _of_codes("Refusal"), _body),
    RefusalForm(PROBLEM, _of_codes("Problem"), _problem),
)
