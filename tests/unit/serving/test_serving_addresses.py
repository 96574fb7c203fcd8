"""IP addresses that come as text."""

import pytest

from serving import addresses
from serving.addresses import Networks


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("0000:0000:0000:0000:0000:ffff:192.000.002.001", None),
        ("0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"),
        ("::192.0.2.1", "::c000:201"),
        ("fe80::1%eth0", None),
        ("fe80::1%", None),
        ("192.0.2.01", None),
        ("192.0.2", None),
        ("192.0.2.1.", None),
        ("192.0.2.1:80", None),
        ("[::1]", None),
        ("3221225985", None),
        ("0x7f.0.0.1", None),
        ("١٢٧.0.0.1", None),
        (" 192.0.2.1", None),
        ("192.0.2.1\n", None),
        ("localhost", None),
        ("", None),
        ("1" * 10_000, None),
        (":" * 10_000, None),
    ],
)
def test_an_address_has_one_spelling(text: str, canonical: str | None) -> None:
    """Each spelling of an address becomes the one; what is no address becomes None."""
    address = addresses.parsed(text)
    assert (None if address is None else str(address)) == canonical


@pytest.mark.parametrize(
    "host, canonical",
    [("fe80::1%eth0", "fe80::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("testclient", None)],
)
def test_the_zone_of_a_peer_is_dropped(host: str, canonical: str | None) -> None:
    """An operating system's zone says through which interface, not who."""
    address = addresses.of_peer(host)
    assert (None if address is None else str(address)) == canonical


@pytest.mark.parametrize(
    "entries, inside, outside",
    [
        ((), (), ("192.0.2.1", "::1")),
        (("192.0.2.1",), ("192.0.2.1", "::ffff:192.0.2.1"), ("192.0.2.2", "::192.0.2.1")),
        (("10.0.0.0/8", "fd00::/8"), ("10.255.0.1", "fdff::1"), ("11.0.0.1", "fe00::1")),
        (("::ffff:10.0.0.0/104",), ("10.1.2.3", "::ffff:10.1.2.3"), ("11.0.0.1",)),
        (("0.0.0.0/0",), ("8.8.8.8",), ("::1",)),
        (("::/0",), ("::1",), ("8.8.8.8",)),
    ],
)
def test_a_network_has_its_addresses(
    entries: tuple[str, ...], inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    """An address is in a list whichever way either is spelled; the families do not mix."""
    networks = Networks(entries)
    for texts, expected in ((inside, True), (outside, False)):
        for text in texts:
            address = addresses.parsed(text)
            assert address is not None
            assert (address in networks) is expected, text


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "10.0.0.0/33", "10.0.0", "proxy", "fe80::1%eth0", "fe80::%1/64", "unix"]
)
def test_what_is_no_network_is_refused_unsaid(entry: str) -> None:
    """An entry that is no network is refused, and not repeated; bits beyond the mask are none."""
    with pytest.raises(ValueError, match=r"\Ahas an entry that is no IP") as refused:
        Networks(["10.0.0.0/8", entry])
    assert entry not in str(refused.value)
