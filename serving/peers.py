"""The other end of a gRPC connection, as far as its transport proves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from serving import addresses

if TYPE_CHECKING:
    import grpc

    from serving.addresses import Address


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is connected. Nothing in a request's metadata can change it."""

    unix: bool = False
    """Whether it reached a Unix socket of ours, whose mode says who may."""
    address: Address | None = field(default=None, repr=False)  # personal data: not for logs
    identities: tuple[str, ...] = ()
    """Names in the certificate that it proved to have: SPIFFE IDs as they are
    (`spiffe://…`), DNS names as `dns:…`. None where it has no certificate."""


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
    """Return the other end of a call's connection."""
    kind, _, rest = context.peer().partition(":")
    host = unquote(rest).rpartition(":")[0].strip("[]")
    return Peer(
        unix=kind == "unix",
        address=addresses.of_peer(host) if kind in {"ipv4", "ipv6"} else None,
        identities=_identities(context.auth_context()),
    )


def _identities(proven: Any) -> tuple[str, ...]:
    names = (
        name.decode("ascii", "replace") for name in proven.get("x509_subject_alternative_name", ())
    )
    return tuple(name if "://" in name else f"dns:{name.lower()}" for name in names)
