"""The other end of a gRPC connection, as far as its transport proves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from serving import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serving.addresses import Address

_SPIFFE = "spiffe://"
_DNS = "dns:"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is connected. Nothing in a request's metadata can change it."""

    unix: bool = False
    """Whether it reached a Unix socket of ours, whose mode says who may."""
    address: Address | None = field(default=None, repr=False)  # personal data: not for logs
    identities: tuple[str, ...] = ()
    """Names in the certificate that it proved to have: SPIFFE IDs as they are
    (`spiffe://…`), DNS names as `dns:…`. None where it has no certificate."""


class Connected(Protocol):
    """What of gRPC's ServicerContext says who is connected."""

    def peer(self) -> str:
        """Return the other end's address, as gRPC spells it."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return what its certificate holds."""


def peer_of(context: Connected) -> Peer:
    """Return the other end of a call's connection."""
    kind, _, rest = context.peer().partition(":")
    host = unquote(rest).rpartition(":")[0].strip("[]")
    return Peer(
        unix=kind == "unix",
        address=addresses.of_peer(host) if kind in {"ipv4", "ipv6"} else None,
        identities=_identities(context.auth_context()),
    )


def is_identity(text: str) -> bool:
    """Return whether `text` is an identity as a certificate proves it."""
    prefix = next((each for each in (_SPIFFE, _DNS) if text.startswith(each)), None)
    return (
        prefix is not None
        and len(text) > len(prefix)
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and (prefix == _SPIFFE or text == text.lower())
    )


def _identities(proven: Mapping[str, Iterable[bytes]]) -> tuple[str, ...]:
    # By the kind of name: a DNS name may look like a SPIFFE ID. gRPC gives no SPIFFE ID
    # of a certificate with several URIs, which is what SPIFFE asks (X.509-SVID, section 2).
    spiffe = (name.decode("ascii", "replace") for name in proven.get("peer_spiffe_id", ()))
    dns = (name.decode("ascii", "replace").lower() for name in proven.get("peer_dns", ()))
    return (*spiffe, *(f"{_DNS}{name}" for name in dns))
