"""How many connections are let in."""

import pytest
from structlog.testing import capture_logs

from gateway.connections import Connections
from serving import addresses
from serving.addresses import Address, Networks

PROXY = "10.0.0.1"


def at(text: str) -> Address:
    """Return an address."""
    address = addresses.parsed(text)
    assert address is not None
    return address


def make(most: int = 10, each: int = 2) -> Connections:
    """Return a list with a trusted proxy."""
    return Connections(most, each, Networks([PROXY]))


def test_each_address_has_its_share() -> None:
    """Who has it is refused, others are not, and each that goes makes room."""
    connections = make()
    first, second = at("192.0.2.1"), at("192.0.2.2")
    assert [connections.enter(first) for _ in range(4)] == [True, True, False, False]
    assert connections.enter(second)
    connections.leave(first)
    assert [connections.enter(first) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("other", ["2001:db8::2", "2001:db8:0:0:ffff:ffff:ffff:ffff"])
def test_a_network_of_ipv6_is_one(other: str) -> None:
    """A /64 has one share: nobody has only one address of it."""
    connections = make()
    assert connections.enter(at("2001:db8::1"))
    assert connections.enter(at(other))
    assert not connections.enter(at("2001:db8::3"))
    assert connections.enter(at("2001:db8:0:1::1"))


def test_an_ipv4_address_has_one_spelling() -> None:
    """It is not another in IPv6's clothes."""
    connections = make(each=1)
    assert connections.enter(at("192.0.2.1"))
    assert not connections.enter(at("::ffff:192.0.2.1"))


def test_the_whole_has_a_limit() -> None:
    """It binds all: those who stand for many, and those who have no address."""
    connections = make(most=5, each=1)
    assert all(connections.enter(at(PROXY)) for _ in range(3))
    assert all(connections.enter(None) for _ in range(2))
    assert not connections.enter(at(PROXY))
    assert not connections.enter(None)
    assert not connections.enter(at("192.0.2.1"))
    connections.leave(None)
    assert connections.enter(at("192.0.2.1"))


def test_nothing_is_kept_of_those_who_went_or_were_refused() -> None:
    """A million addresses leave no trace."""
    connections = make(most=1)
    for number in range(1_000):
        address = at(f"192.0.{number // 256}.{number % 256}")
        assert connections.enter(address)
        assert not connections.enter(at(f"198.51.100.{number % 256}"))
        connections.leave(address)
    assert not +connections._by_source


def test_refusing_is_told_once() -> None:
    """A flood of connections is not a flood of lines, and no line has an address."""
    connections = make(most=1)
    with capture_logs() as lines:
        for number in range(100):
            connections.enter(at(f"192.0.2.{number}"))
    assert [line["event"] for line in lines] == ["connections refused"]
    assert "192.0.2" not in str(lines)
