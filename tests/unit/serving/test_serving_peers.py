"""The other end of a connection, as gRPC spells it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from serving.peers import Peer, is_identity, peer_of


@dataclass
class Connection:
    """What gRPC says of a connection."""

    spelled: str
    proven: Mapping[str, list[bytes]] = field(default_factory=dict)

    def peer(self) -> str:
        """Return the other end."""
        return self.spelled

    def auth_context(self) -> Mapping[str, list[bytes]]:
        """Return what its certificate holds."""
        return self.proven


@pytest.mark.parametrize(
    "spelled, address",
    [
        ("ipv4:10.1.2.3:567", "10.1.2.3"),
        ("ipv6:%5B::1%5D:567", "::1"),
        ("ipv6:[::1]:567", "::1"),
        ("ipv6:%5B::ffff:192.0.2.9%5D:567", "192.0.2.9"),
        ("ipv6:%5Bfe80::9%25eth0%5D:567", "fe80::9"),
    ],
)
def test_a_tcp_peer_has_an_address(spelled: str, address: str) -> None:
    """In one spelling, without its port or zone."""
    assert peer_of(Connection(spelled)) == Peer(address=ipaddress.ip_address(address))


@pytest.mark.parametrize("spelled", ["unix:", "unix:/run/t.sock"])
def test_a_socket_peer_has_none(spelled: str) -> None:
    """That it reached the socket is all there is to know."""
    assert peer_of(Connection(spelled)) == Peer(unix=True)


@pytest.mark.parametrize("spelled", ["", "unix-abstract:x", "ipv4:unix:1", "ipv4:", "vsock:1:2"])
def test_what_is_neither_is_nobody(spelled: str) -> None:
    """An abstract socket has no mode: whoever is there, it is not for that to let in."""
    assert peer_of(Connection(spelled)) == Peer()


def test_names_count_by_their_kind() -> None:
    """A DNS name that looks like a SPIFFE ID is a DNS name; a common name is none."""
    proven = {
        "peer_spiffe_id": [b"spiffe://example.org/a"],
        "peer_dns": [b"Gateway.Internal", b"spiffe://example.org/b"],
        "peer_uri": [b"spiffe://example.org/c"],
        "peer_email": [b"spiffe://example.org/d"],
        "x509_common_name": [b"spiffe://example.org/e"],
        "x509_subject_alternative_name": [b"spiffe://example.org/f"],
    }
    assert peer_of(Connection("ipv4:10.1.2.3:567", proven)).identities == (
        "spiffe://example.org/a",
        "dns:gateway.internal",
        "dns:spiffe://example.org/b",
    )


def test_an_address_is_not_shown() -> None:
    """The repr can be logged."""
    assert "10.1.2.3" not in repr(peer_of(Connection("ipv4:10.1.2.3:567")))


@pytest.mark.parametrize("text", ["spiffe://example.org/a", "dns:gateway.internal"])
def test_an_identity_is_spelled_as_it_is_proven(text: str) -> None:
    """What is configured can be compared."""
    assert is_identity(text)


@pytest.mark.parametrize(
    "text", ["", "a", "spiffe://", "dns:", "dns:A", "dns:a b", "spiffe:/a", "uri:a", "dns:\u00e9"]
)
def test_anything_else_is_no_identity(text: str) -> None:
    """Nor is what no certificate would ever match."""
    assert not is_identity(text)
