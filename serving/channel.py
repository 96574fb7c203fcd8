"""gRPC channels that reconnect within a second once the other side is back."""

from __future__ import annotations

from typing import Any

import grpc

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.enable_retries", 0),  # we retry where it is safe, and count it
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A call in flight on a dead connection; keepalive alone misses a black hole.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.max_receive_message_length", 1024 * 1024),
]


def open_channel(target: str) -> grpc.aio.Channel:
    """Open a plaintext channel to a loopback address or a Unix socket."""
    options = list(_OPTIONS)
    if target.startswith("unix:"):
        options.append(("grpc.default_authority", "localhost"))  # a path is no authority
    return grpc.aio.insecure_channel(target, options=options)
