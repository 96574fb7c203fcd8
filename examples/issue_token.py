"""Get a token over gRPC, as an internal service does: `python examples/issue_token.py`.

The environment gives TOKENSERVICE (default 127.0.0.1:50051) and BEARER, the JWT
of the user to issue for.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

_SECONDS = 10


class NotIssued(Exception):
    """Why there is no token. Switch on `reason`; `retry_after` is in seconds, 0: do not."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(f"{reason}, retry after {retry_after:.0f} s")
        self.reason = reason
        self.retry_after = retry_after


def issue_token(channel: grpc.Channel, bearer: str, **wanted: Any) -> pb.CreateTokenResponse:
    """Return a token for what is `wanted` (fields of CreateTokenRequest).

    The request id makes the call safe to repeat: a lost answer costs no second token.

    Raises:
        NotIssued: No token, and what to do about it.

    """
    stub = tokenservice_pb2_grpc.TokenServiceStub(channel)
    request = pb.CreateTokenRequest(**{"request_id": uuid.uuid4().hex, **wanted})
    metadata = (("authorization", f"Bearer {bearer}"),)
    try:
        return stub.CreateToken(request, metadata=metadata, timeout=_SECONDS)
    except grpc.RpcError as error:
        raise _not_issued(error) from error


def _not_issued(error: grpc.RpcError) -> NotIssued:
    status = status_pb2.Status()
    trailers: Any = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        # The first ErrorInfo is the outcome's own; later ones name dependencies.
        if not info.reason and detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(retry.DESCRIPTOR):
            detail.Unpack(retry)
    delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return NotIssued(info.reason or error.code().name, delay)


def main() -> int:
    """Print what a browser needs to connect."""
    with grpc.insecure_channel(os.environ.get("TOKENSERVICE", "127.0.0.1:50051")) as channel:
        try:
            issued = issue_token(channel, os.environ["BEARER"])
        except NotIssued as error:
            print(error, file=sys.stderr)
            return 1
    print(issued.token, "opens", issued.constraints.model, "on", issued.api_version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
