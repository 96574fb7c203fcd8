"""IP addresses that come as text: one spelling of each, and lists of networks.

An IPv4-mapped IPv6 address is its IPv4 address, or one client would have two.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_CHARS = 45  # the longest spelling, that of a mapped address
_MAPPED_BITS = 96


def parsed(text: str) -> Address | None:
    """Return the address that `text` is, or None; one with a zone (`%eth0`) is none."""
    if len(text) > _MAX_CHARS or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def of_peer(host: str) -> Address | None:
    """Return the address of a connection's other end, as the operating system names it.

    A zone is dropped: it says through which of our interfaces, not who.
    """
    return parsed(host.partition("%")[0])


class Networks:
    """A list of addresses and networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Read addresses (`10.0.0.1`) and networks (`10.0.0.0/8`).

        Raises:
            ValueError: An entry that is neither; the message does not repeat it.

        """
        self._networks = tuple(_network(entry) for entry in entries)

    def __contains__(self, address: Address) -> bool:
        """Return whether an address is one of these, or in one of these."""
        return any(address in network for network in self._networks)


def _network(entry: str) -> Network:
    try:
        network = ipaddress.ip_network(entry.replace("%", " "))  # a zone is refused
    except ValueError as error:
        raise ValueError("has an entry that is no IP address and no network") from error
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
