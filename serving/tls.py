"""TLS on every hop, with certificates that may be replaced while it serves.

A server looks at its files at each handshake; a connection that is open keeps what
it began with. Clients: see serving.channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    import ssl

    from serving.certificates import Certificates, Material


def server_credentials(
    certificates: Certificates | None, *, require_client: bool
) -> grpc.ServerCredentials | None:
    """Return what a gRPC server listens with; None: plaintext.

    Args:
        certificates: The server's own, and the authorities that its clients' are of.
        require_client: Whether a client without a certificate of these is refused, or
            else none is asked for one.

    """
    if certificates is None:
        return None
    offered = certificates.current()

    def newer() -> Any:  # None: gRPC goes on with what it has; its types do not know
        nonlocal offered
        newest = certificates.current()
        if newest is offered:
            return None
        offered = newest
        return _configuration(newest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(offered), newer, require_client_authentication=require_client
    )


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Return what a gRPC client shows, and what it asks of a server."""
    return grpc.ssl_channel_credentials(material.ca, material.key, material.chain)


def https_context(certificates: Certificates) -> ssl.SSLContext:
    """Return a context that serves the newest certificate at each handshake."""
    front = certificates.current().context

    def take_newest(connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        newest = certificates.current().context
        if newest is not front:
            connection.context = newest

    front.sni_callback = take_newest  # called at each handshake, with a name or without
    return front


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], root_certificates=material.ca
    )
