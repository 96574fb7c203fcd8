"""Where a call came from, and whose word on that is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import structlog

from serving import addresses
from serving.addresses import Networks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
        """Trust addresses and networks, and with `unix` whoever reaches a Unix socket of ours.

        Raises:
            ValueError: An entry that is none of these.

        """
        others = tuple(entries)
        self._unix = _UNIX in others
        self._networks = Networks(entry for entry in others if entry != _UNIX)

    def client_info(self, peer: str, metadata: Iterable[tuple[str, str | bytes]]) -> ClientInfo:
        """Return where a call from `peer`, as gRPC spells it, came from.

        A peer that is not trusted is the client itself, whatever it says. One
        that is trusted speaks for another: what it does not say is not known.
        """
        kind, _, rest = peer.partition(":")
        host = unquote(rest).rpartition(":")[0].strip("[]")
        address = addresses.of_peer(host) if kind in {"ipv4", "ipv6"} else None
        trusted = self._unix if kind == _UNIX else address is not None and address in self._networks
        if not trusted:
            return ClientInfo("" if address is None else str(address))
        said = [(key, str(value)) for key, value in metadata if key in {ADDRESS_KEY, HEADERS_KEY}]
        return ClientInfo(
            _address([value for key, value in said if key == ADDRESS_KEY]),
            _headers([value for key, value in said if key == HEADERS_KEY]),
        )


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
