"""Between services: real handshakes, right and wrong, over gRPC."""

from ipaddress import IPv4Address
from pathlib import Path

import grpc
import pytest
from authority import Authority, Kit
from tls_server import greet, healthy, identities, tls_server

from serving.certificates import Certificates
from serving.channel import open_channel

LOOPBACK = IPv4Address("127.0.0.1")
OURS, THEIRS = Authority("our"), Authority("their")


@pytest.fixture
def server(tmp_path: Path) -> Kit:
    """Return the server's files: its certificate is for its address and for a name."""
    return Kit(tmp_path, "server").put(OURS.issue("policy.internal", ip=LOOPBACK), OURS)


@pytest.fixture
def client(tmp_path: Path) -> Kit:
    """Return a client's files."""
    return Kit(tmp_path, "client").put(OURS.issue("gateway.internal"), OURS)


async def test_who_has_a_certificate_of_ours_is_served(server: Kit, client: Kit) -> None:
    """Each side trusts the other, by the target's address or by a name that is set."""
    async with tls_server(server) as listening:
        assert await greet(listening.target, client)
        assert await greet(listening.target, client, server_name="policy.internal")


async def test_a_certificate_of_another_authority_is_refused(server: Kit, client: Kit) -> None:
    """Whatever name it has."""
    async with tls_server(server) as listening:
        assert not await greet(listening.target, client.put(THEIRS.issue("gateway.internal"), OURS))


async def test_an_expired_certificate_is_refused(server: Kit, client: Kit) -> None:
    """Even if it was ours."""
    async with tls_server(server) as listening:
        expired = OURS.issue("gateway.internal", expired=True)
        assert not await greet(listening.target, client.put(expired, OURS))


async def test_no_certificate_is_refused(server: Kit) -> None:
    """TLS alone is not enough."""
    credentials = grpc.ssl_channel_credentials(OURS.pem)
    async with (
        tls_server(server) as listening,
        grpc.aio.secure_channel(listening.target, credentials) as channel,
    ):
        assert not await healthy(channel)


async def test_plaintext_is_refused(server: Kit) -> None:
    """Nor is there a way around TLS."""
    async with tls_server(server) as listening:
        assert not await greet(listening.target, None)


async def test_a_server_of_another_authority_is_not_called(server: Kit, client: Kit) -> None:
    """The client does not tell it anything."""
    async with tls_server(server.put(THEIRS.issue(ip=LOOPBACK), OURS, THEIRS)) as listening:
        assert not await greet(listening.target, client)


async def test_an_expired_server_is_not_called(server: Kit, client: Kit) -> None:
    """Nor does it when it once was ours."""
    async with tls_server(server.put(OURS.issue(ip=LOOPBACK, expired=True), OURS)) as listening:
        assert not await greet(listening.target, client)


async def test_a_server_with_another_name_is_not_called(server: Kit, client: Kit) -> None:
    """A service of ours is not any service of ours."""
    async with tls_server(server) as listening:
        assert not await greet(listening.target, client, server_name="tokenservice.internal")
    other = server.put(OURS.issue("policy.internal"), OURS)
    async with tls_server(other) as listening:
        assert not await greet(listening.target, client)
        assert await greet(listening.target, client, server_name="policy.internal")


async def test_a_plaintext_server_is_not_called(client: Kit) -> None:
    """With certificates, a client speaks TLS or nothing."""
    async with tls_server(None) as listening:
        assert not await greet(listening.target, client)


async def test_certificates_of_clients_can_be_left_out(server: Kit) -> None:
    """If it is set so, TLS is for secrecy alone: nobody has an identity."""
    credentials = grpc.ssl_channel_credentials(OURS.pem)
    async with (
        tls_server(server, require_client=False) as listening,
        grpc.aio.secure_channel(listening.target, credentials) as channel,
    ):
        assert await healthy(channel)
        assert await identities(channel) == []


@pytest.mark.parametrize(
    "names, proven",
    [
        (["gateway.internal"], ["dns:gateway.internal"]),
        (["Gateway.Internal", "b"], ["dns:gateway.internal", "dns:b"]),
        (["spiffe://example.org/gateway"], ["spiffe://example.org/gateway"]),
        (
            ["spiffe://example.org/gateway", "b"],
            ["spiffe://example.org/gateway", "dns:b"],
        ),
        (["spiffe://example.org/gateway", "spiffe://example.org/b"], []),
        (["https://example.org/gateway"], []),
    ],
)
async def test_a_peer_is_whom_its_certificate_names(
    server: Kit, client: Kit, names: list[str], proven: list[str]
) -> None:
    """By DNS names and by one SPIFFE ID; of two, none counts."""
    certificates = Certificates(client.put(OURS.issue(*names), OURS).files())
    async with (
        tls_server(server) as listening,
        open_channel(listening.target, certificates) as channel,
    ):
        assert await identities(channel) == proven


async def test_a_socket_is_plain(server: Kit, client: Kit, tmp_path: Path) -> None:
    """Its mode says who may, on both sides, certificates or not."""
    unix = f"unix:{tmp_path}/s.sock"
    async with tls_server(server, unix=unix):
        assert await greet(unix, None)
        assert await greet(unix, client)
