"""Where a call came from, and whose word on that counts."""

import pytest
from structlog.testing import capture_logs

from tokenservice.client_info import ClientInfo, TrustedPeers

UNIX = TrustedPeers(["unix"])
LAN = TrustedPeers(["10.0.0.0/8", "::1"])
NOBODY = TrustedPeers([])
SAID = (
    ("x-client-address", "192.0.2.1"),
    ("x-client-headers", "user-agent,x-forwarded-host"),
    ("authorization", "Bearer x"),
)
TOLD = ClientInfo("192.0.2.1", ("user-agent", "x-forwarded-host"))


@pytest.mark.parametrize(
    "trusted, peer",
    [
        (UNIX, "unix:"),
        (UNIX, "unix:/run/t.sock"),
        (LAN, "ipv4:10.1.2.3:567"),
        (LAN, "ipv6:%5B::1%5D:567"),
        (LAN, "ipv6:[::1]:567"),
        (LAN, "ipv6:%5B::ffff:10.1.2.3%5D:567"),
    ],
)
def test_a_trusted_peer_speaks_for_its_client(trusted: TrustedPeers, peer: str) -> None:
    """What a gateway says of its client is believed."""
    assert trusted.client_info(peer, SAID) == TOLD


@pytest.mark.parametrize(
    "trusted, peer, address",
    [
        (UNIX, "ipv4:127.0.0.1:567", "127.0.0.1"),
        (UNIX, "ipv4:192.0.2.9:567", "192.0.2.9"),
        (UNIX, "ipv6:%5B2001:db8::9%5D:567", "2001:db8::9"),
        (UNIX, "ipv6:%5B::ffff:192.0.2.9%5D:567", "192.0.2.9"),
        (UNIX, "ipv6:%5Bfe80::9%25eth0%5D:567", "fe80::9"),
        (LAN, "ipv4:11.0.0.1:567", "11.0.0.1"),
        (LAN, "unix:", ""),
        (NOBODY, "unix:", ""),
        (NOBODY, "ipv4:127.0.0.1:567", "127.0.0.1"),
        (UNIX, "unix-abstract:x", ""),
        (UNIX, "", ""),
        (UNIX, "ipv4:unix:1", ""),
        (UNIX, "ipv4:", ""),
    ],
)
def test_any_other_peer_is_the_client(trusted: TrustedPeers, peer: str, address: str) -> None:
    """Of who is not trusted, the address is its own, and what it says does not count."""
    assert trusted.client_info(peer, SAID) == ClientInfo(address, None)


def test_what_a_trusted_peer_does_not_say_is_not_known() -> None:
    """A program on our own socket has no address; nor has a gateway's own to stand for a client."""
    assert UNIX.client_info("unix:", ()) == ClientInfo("", None)
    assert LAN.client_info("ipv4:10.1.2.3:567", ()) == ClientInfo("", None)
    assert UNIX.client_info("unix:", (("x-client-address", ""),)) == ClientInfo("", None)
    assert UNIX.client_info("unix:", (("x-client-headers", ""),)) == ClientInfo("", ())


@pytest.mark.parametrize("address", ["192.0.2.999", "fe80::1%eth0", "unknown", "192.0.2.1:80"])
def test_an_address_that_is_none_is_logged_and_not_known(address: str) -> None:
    """A gateway that sends nonsense is noticed, without the nonsense."""
    with capture_logs() as logs:
        client = UNIX.client_info("unix:", (("x-client-address", address),))
    assert client == ClientInfo("", None)
    (line,) = logs
    assert line["log_level"] == "warning"
    assert address not in str(line)


def test_two_addresses_are_none() -> None:
    """Which of two is meant is not for us to guess."""
    twice = (("x-client-address", "192.0.2.1"), ("x-client-address", "192.0.2.2"))
    assert UNIX.client_info("unix:", twice).address == ""


def test_an_address_has_one_spelling() -> None:
    """One client is one client, however its gateway spells it."""
    said = (("x-client-address", "::FFFF:192.0.2.1"),)
    assert UNIX.client_info("unix:", said).address == "192.0.2.1"


def test_names_that_are_none_are_dropped() -> None:
    """Only header names in lower case are passed on."""
    said = (("x-client-headers", "user-agent,,Origin, accept,a b,é," + "x" * 65),)
    assert UNIX.client_info("unix:", said).headers == ("user-agent",)


def test_an_address_is_not_shown() -> None:
    """The repr can be logged."""
    assert "192.0.2.1" not in repr(TOLD)


@pytest.mark.parametrize("entry", ["localhost", "unix:/run/x", "10.0.0.1/8", "UNIX"])
def test_a_peer_that_is_none_is_refused(entry: str) -> None:
    """Only addresses, networks and `unix` can be trusted."""
    with pytest.raises(ValueError, match=r"\Ahas an entry"):
        TrustedPeers(["unix", entry])
