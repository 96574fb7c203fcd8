"""The example of a synchronous gRPC caller, against grpcio-testing's channel."""

import importlib.util
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc_testing
import pytest

from serving.errors import QuotaViolation
from serving.rendering import DETAILS_KEY, status_details
from tokenservice.errors import RateLimitExceeded
from tokenservice.v1 import tokenservice_pb2 as pb

SOURCE = Path(__file__).parents[2] / "examples" / "issue_token.py"
SERVICE = pb.DESCRIPTOR.services_by_name["TokenService"]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """Load the example as its reader would run it."""
    spec = importlib.util.spec_from_file_location("issue_token", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def channel() -> Any:
    """Return a channel whose other end is the test."""
    return grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())


@pytest.fixture
def call(example: ModuleType, channel: Any) -> Iterator["Future[pb.CreateTokenResponse]"]:
    """Have the example ask for a token, in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(example.issue_token, channel, "a.b.c", duration_minutes=5)


def test_it_asks_with_a_credential_and_a_request_id(channel: Any, call: Any) -> None:
    """The call carries the bearer, what was wanted, and an id that makes it repeatable."""
    metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["CreateToken"])
    assert ("authorization", "Bearer a.b.c") in metadata
    assert request.duration_minutes == 5
    assert request.request_id
    rpc.send_initial_metadata(())
    rpc.terminate(pb.CreateTokenResponse(token="t"), (), grpc.StatusCode.OK, "")
    assert call.result(timeout=10).token == "t"


def test_a_refusal_says_why_and_until_when(example: ModuleType, channel: Any, call: Any) -> None:
    """The reason and the wait of google.rpc details reach the caller."""
    _, _, rpc = channel.take_unary_unary(SERVICE.methods_by_name["CreateToken"])
    refusal = RateLimitExceeded("Rate limit exceeded", QuotaViolation("l", "w"), retry_after=12.5)
    rpc.send_initial_metadata(())
    trailers = ((DETAILS_KEY, status_details(refusal)),)
    rpc.terminate(None, trailers, grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.message)
    with pytest.raises(example.NotIssued) as caught:
        call.result(timeout=10)
    assert (caught.value.reason, caught.value.retry_after) == ("RATE_LIMIT_EXCEEDED", 12.5)
