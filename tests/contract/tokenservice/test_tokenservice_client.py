"""Where a call came from, as policy is told."""

from typing import Any

import pytest

from policy.v1 import policy_pb2 as policy_pb
from tokenservice.v1 import tokenservice_pb2 as pb

SAID = (("x-client-address", "192.0.2.1"), ("x-client-headers", "user-agent,origin"))


async def test_the_gateway_is_believed(service: Any) -> None:
    """Over the Unix socket, the client is who the gateway says."""
    await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(), *SAID), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client.address == "192.0.2.1"
    assert list(reserve.client.http_headers.names) == ["user-agent", "origin"]


async def test_anybody_else_is_not(service: Any) -> None:
    """Over TCP, the client is its own connection, and has no headers."""
    await service.tcp.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(), *SAID), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client == policy_pb.Client(address="127.0.0.1")


async def test_a_program_on_our_own_socket_has_no_address(service: Any) -> None:
    """Over the Unix socket without a word of it, nothing is known."""
    await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(),), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client == policy_pb.Client()


async def test_an_empty_list_of_headers_arrives(service: Any) -> None:
    """A client without any watched header is told from one that nothing is known of."""
    said = (("x-client-address", "192.0.2.1"), ("x-client-headers", ""))
    await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(), *said), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client.HasField("http_headers")
    assert list(reserve.client.http_headers.names) == []


@pytest.mark.parametrize("address", ["nonsense", "fe80::1%eth0", "192.0.2.1, 192.0.2.2"])
async def test_an_address_that_is_none_is_not_known(service: Any, address: str) -> None:
    """A gateway gone wrong does not stop the service, and blames nobody."""
    said = (("x-client-address", address), ("x-client-headers", "user-agent"))
    await service.unix.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(), *said), timeout=10
    )
    (reserve,) = service.policy.all_heard(policy_pb.ReserveRequest)
    assert reserve.client.address == ""
