"""Whose request it is, behind how many proxies whoever wrote what."""

import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import Headers

from gateway.client_address import MAX_HOPS, client_address
from serving import addresses
from serving.addresses import Networks

TRUSTED = Networks(["10.0.0.0/8", "fd00::/8"])
PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


def client(peer: str, *lines: tuple[str, str]) -> str:
    """Return the address of the client of a request with these header lines."""
    address = addresses.parsed(peer)
    assert address is not None
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    return str(client_address(address, Headers(raw=raw), TRUSTED))


@pytest.mark.parametrize("peer", [STRANGER, "2001:db8::9", "::1", "127.0.0.1"])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
@pytest.mark.parametrize("value", ["192.0.2.1", "for=192.0.2.1", "10.0.0.1", "", "nonsense"])
def test_who_is_not_trusted_speaks_for_nobody(peer: str, name: str, value: str) -> None:
    """Of a peer that is no trusted proxy, the client is the peer, whatever the headers say."""
    assert client(peer, (name, value)) == peer


@pytest.mark.parametrize("peer", [PROXY, "fd00::1", "::ffff:10.0.0.1"])
def test_a_proxy_that_says_nothing_is_the_client(peer: str) -> None:
    """Without either header the trusted peer itself is who asks."""
    canonical = str(addresses.parsed(peer))
    assert client(peer) == canonical
    assert client(peer, ("X-Real-IP", "192.0.2.1"), ("X-Client-IP", "192.0.2.1")) == canonical


FORWARDED_FOR = [
    # One hop: the proxy wrote the last entry, the client all before it.
    ("192.0.2.1", "192.0.2.1"),
    (" 192.0.2.1\t", "192.0.2.1"),
    ("192.0.2.1:567", "192.0.2.1"),
    ("2001:DB8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:8", "2001:db8::1"),
    ("[::ffff:192.0.2.1]:8", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
    ("6.6.6.6,7.7.7.7,192.0.2.1", "192.0.2.1"),
    ("10.9.9.9, 192.0.2.1", "192.0.2.1"),
    ("nonsense, 192.0.2.1", "192.0.2.1"),
    (", 192.0.2.1", "192.0.2.1"),
    ("x" * 100_000 + ",192.0.2.1", "192.0.2.1"),
    # Two hops and three.
    ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
    ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
    ("192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
    ("192.0.2.1, fd00::3, [::ffff:10.0.0.2]:80", "192.0.2.1"),
    ("6.6.6.6, 10.0.0.9, 192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
    # The farthest hop is one of ours: it asked for itself.
    ("10.0.0.2", "10.0.0.2"),
    ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    # An entry that is no address ends the walk at the hop that wrote it.
    ("", PROXY),
    (" ", PROXY),
    (",", PROXY),
    ("192.0.2.1,", PROXY),
    ("192.0.2.1, unknown", PROXY),
    ("192.0.2.1, fe80::1%eth0", PROXY),
    ("192.0.2.1, 192.0.2.999", PROXY),
    ("192.0.2.1, [192.0.2.2", PROXY),
    ("192.0.2.1, 192.0.2.2:", PROXY),
    ("192.0.2.1, 192.0.2.2:port", PROXY),
    ("192.0.2.1, [::1]:123456", PROXY),
    ("192.0.2.1, [fe80::1%1]:80", PROXY),
    ('192.0.2.1, "192.0.2.2"', PROXY),
    ("192.0.2.1 192.0.2.2", PROXY),
    ("192.0.2.1; 192.0.2.2", PROXY),
    ("192.0.2.1\x00", PROXY),
    ("192.0.2.1\xa0", PROXY),
    ("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
    ("192.0.2.1, , 10.0.0.3, 10.0.0.2", "10.0.0.3"),
]


@pytest.mark.parametrize("value, expected", FORWARDED_FOR)
def test_x_forwarded_for_is_walked_from_the_near_end(value: str, expected: str) -> None:
    """The client is the nearest hop that is not trusted, in its one spelling."""
    assert client(PROXY, ("X-Forwarded-For", value)) == expected


def test_all_lines_are_one_list() -> None:
    """A proxy that adds a line of its own has the last word as well."""
    lines = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1, 10.0.0.2"))
    assert client(PROXY, *lines) == "192.0.2.1"
    assert client(PROXY, *reversed(lines)) == "6.6.6.6"


def test_the_walk_has_an_end() -> None:
    """Past the cap nothing is read: the farthest trusted hop is the client."""
    chain = [f"10.1.0.{n}" for n in range(MAX_HOPS)]
    assert client(PROXY, ("X-Forwarded-For", ",".join(["192.0.2.1", *chain[1:]]))) == "192.0.2.1"
    assert client(PROXY, ("X-Forwarded-For", ",".join(["192.0.2.1", *chain]))) == chain[0]
    assert client(PROXY, ("X-Forwarded-For", "," * 1_000_000 + "10.0.0.2")) == "10.0.0.2"


FORWARDED = [
    ("for=192.0.2.1", "192.0.2.1"),
    ("For=192.0.2.1", "192.0.2.1"),
    ('for="192.0.2.1:567"', "192.0.2.1"),
    ('for="[2001:DB8::1]:8"', "2001:db8::1"),
    ('for="[2001:db8::1]"', "2001:db8::1"),
    ('for="[::ffff:192.0.2.1]"', "192.0.2.1"),
    ("proto=https;for=192.0.2.1;by=203.0.113.43", "192.0.2.1"),
    ("proto=https ; for=192.0.2.1", "192.0.2.1"),
    ("for=6.6.6.6, for=192.0.2.1", "192.0.2.1"),
    ('for=192.0.2.1, for="[fd00::2]"', "192.0.2.1"),
    ("for=192.0.2.1, for=10.0.0.3;by=10.0.0.2, for=10.0.0.2", "192.0.2.1"),
    ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
    # What a client leaves open cannot swallow what the proxy wrote.
    ('for="6.6.6.6, for=192.0.2.1', "192.0.2.1"),
    ('for="6.6.6.6, for="[2001:db8::1]"', "2001:db8::1"),
    ('for=6.6.6.6;a="\\, for=192.0.2.1', "192.0.2.1"),
    ('for=6.6.6.6;a="\\, for="[2001:db8::1]:8"', "2001:db8::1"),
    # Nor can what a proxy quotes of the client's make an element or a pair.
    ('for=192.0.2.1;host="a,for=6.6.6.6"', "192.0.2.1"),
    ('for=192.0.2.1;host="a;for=6.6.6.6"', "192.0.2.1"),
    ('for=192.0.2.1;host="a\\",for=6.6.6.6;b=\\""', "192.0.2.1"),
    # No address.
    ("for=unknown", PROXY),
    ("for=_hidden", PROXY),
    ("for=192.0.2.1, for=_hidden", PROXY),
    ("for=192.0.2.1, for=unknown, for=10.0.0.2", "10.0.0.2"),
    ("for=192.0.2.1, proto=https", PROXY),
    ("for=192.0.2.1;for=192.0.2.2", PROXY),
    ('for="[fe80::1%eth0]"', PROXY),
    ("for=[2001:db8::1]", PROXY),
    ("for=192.0.2.1:567", PROXY),
    ("for = 192.0.2.1", PROXY),
    ("192.0.2.1", PROXY),
    ("", PROXY),
    ("for=192.0.2.1,", PROXY),
]


@pytest.mark.parametrize("value, expected", FORWARDED)
def test_forwarded_is_walked_like_it(value: str, expected: str) -> None:
    """RFC 7239 is read where X-Forwarded-For is absent, from the near end as well."""
    assert client(PROXY, ("Forwarded", value)) == expected


def test_a_long_forwarded_is_read_at_its_near_end() -> None:
    """What is past the cap is not read, however it is built."""
    for filler in (',a="' * 100_000, "," * 1_000_000, "for=6.6.6.6," * 10_000, '"' * 100_001):
        assert client(PROXY, ("Forwarded", f"{filler},for=192.0.2.1")) == "192.0.2.1"


@pytest.mark.parametrize("value, expected", [("192.0.2.1", "192.0.2.1"), ("", PROXY)])
def test_x_forwarded_for_goes_before_forwarded(value: str, expected: str) -> None:
    """Where both are there Forwarded does not count, even if the other is of no use."""
    lines = (("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", value))
    assert client(PROXY, *lines) == expected


@given(spoof=st.text(st.characters(max_codepoint=255), max_size=60))
def test_nothing_that_a_client_writes_hides_it(spoof: str) -> None:
    """Whatever stands before the entry of our proxy, the client is that entry."""
    assert client(PROXY, ("X-Forwarded-For", f"{spoof}, 192.0.2.1")) == "192.0.2.1"
    assert client(PROXY, ("X-Forwarded-For", spoof), ("X-Forwarded-For", "192.0.2.1")) == (
        "192.0.2.1"
    )
    assert client(PROXY, ("Forwarded", f"{spoof}, for=192.0.2.1")) == "192.0.2.1"
    assert client(PROXY, ("Forwarded", spoof + ', for="[2001:db8::1]"')) == "2001:db8::1"
