"""Where a call came from, and whose word on that counts."""

import ipaddress

import pytest
from structlog.testing import capture_logs

from serving.peers import Peer
from tokenservice.client_info import ClientInfo, TrustedPeers

UNIX = TrustedPeers(["unix"])
LAN = TrustedPeers(["10.0.0.0/8", "::1"])
NAMED = TrustedPeers(["spiffe://example.org/gateway", "dns:gateway.internal"])
NOBODY = TrustedPeers([])
SOCKET = Peer(unix=True)
SAID = (
    ("x-client-address", "192.0.2.1"),
    ("x-client-headers", "user-agent,x-forwarded-host"),
    ("authorization", "Bearer x"),
)
TOLD = ClientInfo("192.0.2.1", ("user-agent", "x-forwarded-host"))


def at(address: str, *identities: str) -> Peer:
    """Return a peer that came over TCP, with a certificate if it has a name."""
    return Peer(address=ipaddress.ip_address(address), identities=identities)


@pytest.mark.parametrize(
    "trusted, peer",
    [
        (UNIX, SOCKET),
        (LAN, at("10.1.2.3")),
        (LAN, at("::1")),
        (LAN, at("10.1.2.3", "dns:whoever.internal")),
        (NAMED, at("192.0.2.9", "spiffe://example.org/gateway")),
        (NAMED, at("192.0.2.9", "dns:other.internal", "dns:gateway.internal")),
    ],
)
def test_a_trusted_peer_speaks_for_its_client(trusted: TrustedPeers, peer: Peer) -> None:
    """What a gateway says of its client is believed."""
    assert trusted.client_info(peer, SAID) == TOLD


@pytest.mark.parametrize(
    "trusted, peer, address",
    [
        (UNIX, at("127.0.0.1"), "127.0.0.1"),
        (UNIX, at("192.0.2.9", "spiffe://example.org/gateway"), "192.0.2.9"),
        (UNIX, at("2001:db8::9"), "2001:db8::9"),
        (UNIX, Peer(), ""),
        (LAN, at("11.0.0.1"), "11.0.0.1"),
        (LAN, SOCKET, ""),
        (NAMED, SOCKET, ""),
        (NAMED, at("192.0.2.9"), "192.0.2.9"),
        (NAMED, at("192.0.2.9", "spiffe://example.org/gateway/x"), "192.0.2.9"),
        (NAMED, at("192.0.2.9", "dns:spiffe://example.org/gateway"), "192.0.2.9"),
        (NAMED, at("192.0.2.9", "dns:a.gateway.internal"), "192.0.2.9"),
        (NOBODY, SOCKET, ""),
        (NOBODY, at("127.0.0.1", "dns:gateway.internal"), "127.0.0.1"),
    ],
)
def test_any_other_peer_is_the_client(trusted: TrustedPeers, peer: Peer, address: str) -> None:
    """Of who is not trusted, the address is its own, and what it says does not count."""
    assert trusted.client_info(peer, SAID) == ClientInfo(address, None)


def test_what_a_trusted_peer_does_not_say_is_not_known() -> None:
    """A program on our own socket has no address; nor has a gateway's own to stand for a client."""
    assert UNIX.client_info(SOCKET, ()) == ClientInfo("", None)
    assert LAN.client_info(at("10.1.2.3"), ()) == ClientInfo("", None)
    assert UNIX.client_info(SOCKET, (("x-client-address", ""),)) == ClientInfo("", None)
    assert UNIX.client_info(SOCKET, (("x-client-headers", ""),)) == ClientInfo("", ())


@pytest.mark.parametrize("address", ["192.0.2.999", "fe80::1%eth0", "unknown", "192.0.2.1:80"])
def test_an_address_that_is_none_is_logged_and_not_known(address: str) -> None:
    """A gateway that sends nonsense is noticed, without the nonsense."""
    with capture_logs() as logs:
        client = UNIX.client_info(SOCKET, (("x-client-address", address),))
    assert client == ClientInfo("", None)
    (line,) = logs
    assert line["log_level"] == "warning"
    assert address not in str(line)


def test_two_addresses_are_none() -> None:
    """Which of two is meant is not for us to guess."""
    twice = (("x-client-address", "192.0.2.1"), ("x-client-address", "192.0.2.2"))
    assert UNIX.client_info(SOCKET, twice).address == ""


def test_an_address_has_one_spelling() -> None:
    """One client is one client, however its gateway spells it."""
    said = (("x-client-address", "::FFFF:192.0.2.1"),)
    assert UNIX.client_info(SOCKET, said).address == "192.0.2.1"


def test_names_that_are_none_are_dropped() -> None:
    """Only header names in lower case are passed on."""
    said = (("x-client-headers", "user-agent,,Origin, accept,a b,é," + "x" * 65),)
    assert UNIX.client_info(SOCKET, said).headers == ("user-agent",)


def test_an_address_is_not_shown() -> None:
    """The repr can be logged."""
    assert "192.0.2.1" not in repr(TOLD)


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "unix:/run/x",
        "10.0.0.1/8",
        "UNIX",
        "spiffe://",
        "dns:",
        "dns:Gateway",
        "dns:a b",
        "gateway.internal",
        "http://gateway",
    ],
)
def test_a_peer_that_is_none_is_refused(entry: str) -> None:
    """Only addresses, networks, identities as certificates spell them, and `unix` can be."""
    with pytest.raises(ValueError, match=r"\Ahas an entry"):
        TrustedPeers(["unix", entry])
