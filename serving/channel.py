"""gRPC channels that reconnect within a second once the other side is back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import grpc

from serving.renewing import RenewingChannel
from serving.tls import channel_credentials

if TYPE_CHECKING:
    from serving.certificates import Certificates, Material

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.enable_retries", 0),  # we retry where it is safe, and count it
    # `http_proxy` is meant for the web: what stays on the machine in plaintext would leave it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A call in flight on a dead connection; keepalive alone misses a black hole.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.max_receive_message_length", 1024 * 1024),
]


def open_channel(
    target: str, certificates: Certificates | None = None, *, server_name: str | None = None
) -> grpc.aio.Channel:
    """Open a channel: with certificates over TLS, but to a Unix socket always without.

    Args:
        target: `unix:PATH`, or what gRPC resolves.
        certificates: What to show, and whose word to take on the server's name.
        server_name: The name that the server's certificate must have, where it is
            not the target's host.

    """
    options = list(_OPTIONS)
    if target.startswith("unix:"):
        options.append(("grpc.default_authority", "localhost"))  # a path is no authority
        certificates = None
    if certificates is None:
        return grpc.aio.insecure_channel(target, options=options)
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    return RenewingChannel(certificates, functools.partial(_secure, target, options))


def _secure(target: str, options: list[tuple[str, Any]], material: Material) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(target, channel_credentials(material), options=options)
