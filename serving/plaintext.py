"""What may travel in plaintext: what does not leave the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serving import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOCKETS = ("unix:", "unix-abstract:")
_RESOLVERS = ("dns", "ipv4", "ipv6")


def refuse(variable: str, places: Iterable[str], *, unless: str) -> None:
    """Refuse places that are not on this machine.

    Args:
        variable: The setting that names the places.
        places: gRPC's addresses and targets, or `host:port`.
        unless: What to set instead, in words.

    Raises:
        ValueError: One of them is elsewhere; the message names the variable, not the place.

    """
    if not all(is_local(place) for place in places):
        raise ValueError(f"{variable}: is plaintext and leaves this machine: {unless}")


def is_local(place: str) -> bool:
    """Return whether a gRPC address or target is a Unix socket or on loopback.

    Names are not resolved: who answers that question could move it. A target of
    several addresses is local if all are.
    """
    if place.startswith(_SOCKETS):
        return True
    scheme, colon, rest = place.partition(":")
    if colon and scheme in _RESOLVERS:
        place = rest.rpartition("/")[2]  # dns://SERVER/HOST:PORT, dns:///HOST:PORT, dns:HOST:PORT
    return all(is_loopback(_host(each)) for each in place.split(","))


def is_local_url(url: str) -> bool:
    """Return whether a URL's host is on loopback."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone."""
    if host.lower() == "localhost":
        return True
    address = addresses.parsed(host)
    return address is not None and address.is_loopback


def _host(place: str) -> str:
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0] if place.count(":") == 1 else place
