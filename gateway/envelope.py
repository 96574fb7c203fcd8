"""The v2 envelope: what the contract says that all answers look like."""

import json
import re
from http import HTTPStatus
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from gateway import grpc_metadata, negotiation, problems, rate_limits, refusal
from gateway.transcoding.calling import Reply
from gateway.transcoding.errors import CallFailedError, RequestError
from gateway.transcoding.strict_json import Json
from serving.clock import Clock
from serving.tracing import trace_id

log = structlog.get_logger(__name__)

COMMON_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept, Authorization, Origin",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer has: some carry secrets, and none is for a cache or another origin."""

_REALM = 'Bearer realm="live-token"'
_PROOF = 'DPoP realm="live-token", error="invalid_dpop_proof"'
_PRESENTED = re.compile(r"\s*bearer\s+\S", re.IGNORECASE)


class JsonResponse(Response):
    """A response whose body is compact JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as UTF-8."""
        return json.dumps(
            content, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()


class ProblemResponse(JsonResponse):
    """A response whose body is problem details, RFC 9457."""

    media_type = "application/problem+json"


class V2Envelope:
    """`success` beside the fields of a response; one body for every refusal."""

    def __init__(self, clock: Clock) -> None:
        """Tell by `clock` how long callers must wait."""
        self._clock = clock

    def success(self, request: Request, tree: Json, reply: Reply) -> Response:
        """Answer with the fields of a response object, and with what is left of the quota."""
        request.state.code = "OK"
        fields = tree if isinstance(tree, dict) else {"data": tree}
        usage = rate_limits.usage_in(reply.message)
        headers = {} if usage is None else rate_limits.of_usage(usage, self._clock() / 1000)
        answer = JsonResponse({"success": True, **fields}, headers=headers)
        return _with_metadata(answer, request, reply)

    def refusal(self, request: Request, error: RequestError) -> Response:
        """Answer a request that is none of this API."""
        return refuse(request, refusal.of_request(error))

    def failure(self, request: Request, error: CallFailedError) -> Response:
        """Answer a request whose RPC failed."""
        if error.status is None:  # not from our handlers, so the callers' answer says nothing
            log.warning(
                "rpc failed", grpc_code=error.code.name, request_id=request.state.request_id
            )
        return _with_metadata(refuse(request, refusal.of_call(error)), request, error)


def refuse(request: Request, refused: refusal.Refusal) -> Response:
    """Answer a request with a refusal, and note for the log which it was."""
    request.state.code = refused.code
    return refusal_response(refused, request.headers, request.state.request_id)


def refusal_response(refused: refusal.Refusal, asked: Headers, request_id: str) -> Response:
    """Return a refusal in the form that the headers `asked` for, with its own headers."""
    headers = dict(refused.headers)
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _challenge(asked, refused.proof_algorithms)
    if negotiation.wants_problem(asked):
        body = problems.problem(refused, request_id, trace_id())
        return ProblemResponse(body, status_code=refused.status, headers=headers)
    body = refused.body(request_id, trace_id())
    return JsonResponse(body, status_code=refused.status, headers=headers)


def _with_metadata(answer: Response, request: Request, ended: Reply | CallFailedError) -> Response:
    for name, value in grpc_metadata.to_headers(
        request.headers, ended.initial_metadata, ended.trailing_metadata
    ):
        answer.headers.append(name, value)
    return answer


def _challenge(headers: Headers, proof_algorithms: str) -> str:
    """Return the challenge of RFC 6750, 3: with an error only if a token was presented.

    Where it is a proof that was missing or bad, RFC 9449's follows.
    """
    if proof_algorithms:
        return f'{_REALM}, {_PROOF}, algs="{proof_algorithms}"'
    presented = _PRESENTED.match(headers.get("authorization", ""))
    judged = presented and "x-api-key" not in headers
    return f'{_REALM}, error="invalid_token"' if judged else _REALM
