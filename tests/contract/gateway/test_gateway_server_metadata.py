"""Metadata of the server's, as headers of the answer."""

from typing import Any

import grpc
import pytest
from raw_http import RawAnswer, exchange, request

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
INITIAL = (("x-region", "eu"), ("data-bin", b"\x00\xff"))
TRAILING = (("x-cost", "7"), ("sum-bin", b"\x01"))
RESERVED = (
    ("x-internal-host", "10.0.0.1"),
    ("x-request-id", "other"),
    ("authorization", "Bearer secret"),
    ("set-cookie", "a=b"),
    ("content-length", "0"),
    ("live-token-secret", "s"),
)


async def answered(gateway: Any, *lines: str) -> RawAnswer:
    """Return the answer to a mint with these header lines."""
    answer = await exchange(gateway.port, request(AUTH, *lines))
    assert answer is not None
    return answer


def shown(answer: RawAnswer) -> dict[str, str]:
    """Return the headers that were metadata."""
    return {name: value for name, value in answer.headers.items() if name.startswith("grpc-")}


async def test_initial_metadata_are_headers(gateway: Any) -> None:
    """What the server sends before its answer is there, and what it sends after it is not."""
    gateway.service.initial, gateway.service.trailing = INITIAL, TRAILING
    assert shown(await answered(gateway)) == {
        "grpc-metadata-x-region": "eu",
        "grpc-metadata-data-bin": "AP8=",
    }


async def test_who_takes_trailers_has_the_trailing_metadata(gateway: Any) -> None:
    """Under a prefix of their own, for who asks."""
    gateway.service.initial, gateway.service.trailing = INITIAL, TRAILING
    assert shown(await answered(gateway, "TE: trailers", "Connection: TE")) == {
        "grpc-metadata-x-region": "eu",
        "grpc-metadata-data-bin": "AP8=",
        "grpc-trailer-x-cost": "7",
        "grpc-trailer-sum-bin": "AQ==",
    }


async def test_what_is_between_services_stays_there(gateway: Any) -> None:
    """Reserved names do not come back, and gRPC's own status does not either."""
    gateway.service.initial = gateway.service.trailing = RESERVED
    answer = await answered(gateway, "TE: trailers", "X-Request-Id: mine")
    assert answer.status == 200
    assert shown(answer) == {}
    assert answer.headers["x-request-id"] == "mine"
    assert "secret" not in str(answer.headers)


@pytest.mark.parametrize(
    "failure, status", [(errors.PermissionDenied(), 403), (None, 501)], ids=["ours", "bare"]
)
async def test_refusals_have_them_too(
    gateway: Any, failure: errors.ServiceError | None, status: int
) -> None:
    """An RPC that fails has metadata as well; the status in its trailers is not among them."""
    gateway.service.initial = INITIAL
    gateway.service.failure = failure
    gateway.service.status = (grpc.StatusCode.UNIMPLEMENTED, "x")
    answer = await answered(gateway, "TE: trailers")
    assert answer.status == status
    assert shown(answer) == {"grpc-metadata-x-region": "eu", "grpc-metadata-data-bin": "AP8="}


async def test_without_metadata_there_are_no_headers(gateway: Any) -> None:
    """A server that sends none, as ours does, adds nothing."""
    assert shown(await answered(gateway, "TE: trailers")) == {}
