"""Serve any gRPC API over HTTP: `python examples/transcode_any_api.py api.binpb 127.0.0.1:50051`.

`api.binpb` describes the API, its google.api.http rules included:

    protoc --include_imports --descriptor_set_out=api.binpb api.proto

Unary methods answer in JSON, server-streaming ones in lines of it or, for
`Accept: text/event-stream`, in events.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import grpc
import uvicorn
from google.protobuf import descriptor_pb2

from gateway import transcoding


async def serve(
    described: descriptor_pb2.FileDescriptorSet, target: str, port: int, *, auto_mapping: bool
) -> None:
    """Serve the API that is described, which `target` has, on a loopback port, until stopped."""
    async with grpc.aio.insecure_channel(target) as channel:
        app = transcoding.app(described, channel, auto_mapping=auto_mapping)
        config = uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off")
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(description="Serve any gRPC API over HTTP and JSON.")
    parser.add_argument("image", type=Path, help="a FileDescriptorSet, with its imports")
    parser.add_argument("target", help="where the API is, as host:port or unix:path")
    parser.add_argument("--port", type=int, default=8080, help="0 takes one that is free")
    parser.add_argument(
        "--auto-mapping",
        action="store_true",
        help="serve methods without rules as POST /package.Service/Method",
    )
    chosen = parser.parse_args()
    described = descriptor_pb2.FileDescriptorSet.FromString(chosen.image.read_bytes())
    try:
        asyncio.run(serve(described, chosen.target, chosen.port, auto_mapping=chosen.auto_mapping))
    except transcoding.RuleError as error:
        parser.exit(1, f"{chosen.image}: {error}\n")


if __name__ == "__main__":
    main()
