"""Where a call came from, and whose word on that is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from serving import addresses
from serving.addresses import Networks
from serving.peers import is_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from serving.peers import Peer

log = structlog.get_logger(__name__)

ADDRESS_KEY = "x-client-address"
HEADERS_KEY = "x-client-headers"

_UNIX = "unix"
_NAME = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a call came from, as far as we believe it."""

    address: str = field(default="", repr=False)  # personal data: not for logs
    """An IP address in its canonical form; empty: not known."""
    headers: tuple[str, ...] | None = None
    """Names of headers that the client sent over HTTP; None: it was no HTTP, or who knows."""


class TrustedPeers:
    """Those whose metadata say who their client is: gateways."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Trust addresses, networks, identities, and with `unix` whoever reaches a socket of ours.

        Raises:
            ValueError: An entry that is none of these.

        """
        named = frozenset(entries)
        self._unix = _UNIX in named
        self._identities = frozenset(entry for entry in named if is_identity(entry))
        self._networks = Networks(named - self._identities - {_UNIX})

    def client_info(self, peer: Peer, metadata: Iterable[tuple[str, str | bytes]]) -> ClientInfo:
        """Return where a call from `peer` came from.

        A peer that is not trusted is the client itself, whatever it says. One
        that is trusted speaks for another: what it does not say is not known.
        """
        if not self.trusts(peer):
            return ClientInfo("" if peer.address is None else str(peer.address))
        said = [(key, str(value)) for key, value in metadata if key in {ADDRESS_KEY, HEADERS_KEY}]
        return ClientInfo(
            _address([value for key, value in said if key == ADDRESS_KEY]),
            _headers([value for key, value in said if key == HEADERS_KEY]),
        )

    def trusts(self, peer: Peer) -> bool:
        """Return whether a peer speaks for others, and so never for itself."""
        if peer.unix:
            return self._unix
        known = not self._identities.isdisjoint(peer.identities)
        return known or (peer.address is not None and peer.address in self._networks)


def _address(said: Sequence[str]) -> str:
    if not any(said):
        return ""
    address = addresses.parsed(said[0]) if len(said) == 1 else None
    if address is None:
        log.warning("a trusted peer sent no usable client address")
        return ""
    return str(address)


def _headers(said: Sequence[str]) -> tuple[str, ...] | None:
    if len(said) != 1:
        return None
    return tuple(name for name in said[0].split(",") if _NAME.fullmatch(name))
