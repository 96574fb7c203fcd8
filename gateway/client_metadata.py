"""What the service is told of the client: its address, and which headers it sent."""

from starlette.datastructures import Headers
from starlette.requests import Request

from gateway.client_address import client_address
from serving import addresses
from serving.addresses import Networks

ADDRESS_KEY = "x-client-address"
HEADERS_KEY = "x-client-headers"

# What a proxy adds for its clients: behind a trusted one nobody can tell who did.
_FORWARDING = (
    "x-forwarded-host",
    "x-originating-ip",
    "x-cluster-client-ip",
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
)
_OWN = ("user-agent", "accept", "accept-language", "origin")


class ClientMetadata:
    """Describes the client of a request. Decides nothing by it."""

    def __init__(self, trusted: Networks) -> None:
        """Believe what the proxies in `trusted` say of their clients."""
        self._trusted = trusted

    def __call__(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return the metadata; an address that is not known is empty."""
        peer = addresses.of_peer(request.client.host) if request.client else None
        proxied = peer is not None and peer in self._trusted
        address = client_address(peer, request.headers, self._trusted) if peer else ""
        return (
            (ADDRESS_KEY, str(address)),
            (HEADERS_KEY, ",".join(_sent(request.headers, proxied=proxied))),
        )


def _sent(headers: Headers, *, proxied: bool) -> list[str]:
    watched = _OWN if proxied else _OWN + _FORWARDING
    return [name for name in watched if name in headers and not _is_blank_agent(name, headers)]


def _is_blank_agent(name: str, headers: Headers) -> bool:
    return name == "user-agent" and not headers[name].strip()
