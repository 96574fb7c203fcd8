"""The envelope for who has none of their own: what grpc-gateway answers."""

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import grpc
from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.transcoding import errors
from gateway.transcoding.calling import Reply
from gateway.transcoding.streaming import JSON, dumps
from gateway.transcoding.strict_json import Json

_CODE = grpc.StatusCode

HTTP_STATUS: Mapping[grpc.StatusCode, int] = {
    _CODE.OK: 200,
    _CODE.CANCELLED: 499,
    _CODE.UNKNOWN: 500,
    _CODE.INVALID_ARGUMENT: 400,
    _CODE.DEADLINE_EXCEEDED: 504,
    _CODE.NOT_FOUND: 404,
    _CODE.ALREADY_EXISTS: 409,
    _CODE.PERMISSION_DENIED: 403,
    _CODE.UNAUTHENTICATED: 401,
    _CODE.RESOURCE_EXHAUSTED: 429,
    _CODE.FAILED_PRECONDITION: 400,
    _CODE.ABORTED: 409,
    _CODE.OUT_OF_RANGE: 400,
    _CODE.UNIMPLEMENTED: 501,
    _CODE.INTERNAL: 500,
    _CODE.UNAVAILABLE: 503,
    _CODE.DATA_LOSS: 500,
}
"""grpc-gateway's HTTP statuses for gRPC's codes."""

_REFUSALS: tuple[tuple[type[errors.RequestError], HTTPStatus, int], ...] = (
    (errors.UnknownPathError, HTTPStatus.NOT_FOUND, code_pb2.NOT_FOUND),
    (errors.MethodNotAllowedError, HTTPStatus.METHOD_NOT_ALLOWED, code_pb2.UNIMPLEMENTED),
    (errors.NotAcceptableError, HTTPStatus.NOT_ACCEPTABLE, code_pb2.INVALID_ARGUMENT),
    (errors.SlowBodyError, HTTPStatus.REQUEST_TIMEOUT, code_pb2.DEADLINE_EXCEEDED),
    (
        errors.PayloadTooLargeError,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        code_pb2.RESOURCE_EXHAUSTED,
    ),
    (
        errors.UnsupportedMediaTypeError,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        code_pb2.INVALID_ARGUMENT,
    ),
    (errors.RequestError, HTTPStatus.BAD_REQUEST, code_pb2.INVALID_ARGUMENT),
)


class StatusEnvelope:
    """Answers with the bare message, and refuses with the JSON of a `google.rpc.Status`.

    The details of a status are passed on as they are, those of types that are
    not known here as `{"@type": …, "value": <base64>}`.
    """

    def success(self, request: Request, tree: Json, reply: Reply) -> Response:  # noqa: ARG002 - nothing of them is told
        """Answer with the JSON of a response."""
        return Response(dumps(tree), media_type=JSON)

    def refusal(self, request: Request, error: errors.RequestError) -> Response:  # noqa: ARG002
        """Answer a request for which no RPC was made."""
        status, code = next((s, c) for kind, s, c in _REFUSALS if isinstance(error, kind))
        headers: dict[str, str] = {}
        if isinstance(error, errors.MethodNotAllowedError):
            headers = {"Allow": ", ".join(error.allow)}
        elif isinstance(error, errors.UnsupportedMediaTypeError):
            headers = error.headers
        return _status(status, code, str(error), headers=headers)

    def failure(self, request: Request, error: errors.CallFailedError) -> Response:  # noqa: ARG002
        """Answer a request whose RPC failed."""
        details = [_detail(each) for each in error.status.details] if error.status else []
        return _status(HTTP_STATUS[error.code], error.code.value[0], error.message, details)


def _status(
    http_status: int,
    code: int,
    message: str,
    details: list[Json] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body: Json = {"code": code, "message": message, "details": details or []}
    return Response(dumps(body), http_status, headers=headers, media_type=JSON)


def _detail(packed: any_pb2.Any) -> Json:
    try:
        return cast("Json", json_format.MessageToDict(packed))
    except (json_format.Error, TypeError, ValueError):
        return {"@type": packed.type_url, "value": base64.b64encode(packed.value).decode()}
