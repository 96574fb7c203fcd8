"""How many connections there are, in all and from each address."""

import ipaddress
from collections import Counter
from typing import TypeAlias

import structlog

from serving import metrics
from serving.addresses import Address, Network, Networks

log = structlog.get_logger(__name__)

_SITE_BITS = 64
_Source: TypeAlias = Address | Network


class Connections:
    """Admits connections: at most `most`, and at most `most_per_address` from one source.

    A source is an IPv4 address or an IPv6 /64, which is what one customer gets.
    `proxies` stand for many, and only the first limit is theirs. Nothing is kept
    of a connection that is refused, or that has gone.
    """

    def __init__(self, most: int, most_per_address: int, proxies: Networks) -> None:
        self._free = most
        self._most_per_address = most_per_address
        self._proxies = proxies
        self._by_source: Counter[_Source] = Counter()
        self._refusing = False
        for reason in ("full", "address"):
            metrics.HTTP_CONNECTIONS_REFUSED.add(0, reason=reason)

    def enter(self, peer: Address | None) -> bool:
        """Return whether there is room for one more from `peer`; None has no address."""
        source = self._source(peer)
        crowded = source is not None and self._by_source[source] >= self._most_per_address
        if self._free <= 0 or crowded:
            metrics.HTTP_CONNECTIONS_REFUSED.add(reason="full" if self._free <= 0 else "address")
            if not self._refusing:  # once, not for each: it is told while it happens
                log.warning("connections refused", full=self._free <= 0)
            self._refusing = True
            return False
        self._refusing = False
        self._free -= 1
        metrics.HTTP_CONNECTIONS.add(1)
        if source is not None:
            self._by_source[source] += 1
        return True

    def leave(self, peer: Address | None) -> None:
        """Note that a connection has gone that was admitted."""
        self._free += 1
        metrics.HTTP_CONNECTIONS.add(-1)
        source = self._source(peer)
        if source is not None:
            self._by_source[source] -= 1
            if not self._by_source[source]:
                del self._by_source[source]

    def _source(self, peer: Address | None) -> _Source | None:
        if peer is None or peer in self._proxies:
            return None
        if isinstance(peer, ipaddress.IPv6Address):
            return ipaddress.IPv6Network((peer, _SITE_BITS), strict=False)
        return peer
