"""A feed on a Unix socket, and the library's application before it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from feed_api import FakeFeed, compile_image

from gateway import transcoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from google.protobuf import descriptor_pb2
    from starlette.types import ASGIApp

    Serve = Callable[..., AbstractAsyncContextManager[ASGIApp]]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorSet:
    """Return feed.proto, compiled."""
    return compile_image(Path(__file__).parent / "feed.proto", tmp_path_factory.mktemp("feed"))


@pytest.fixture
def feed(image: descriptor_pb2.FileDescriptorSet) -> FakeFeed:
    """Return the service, which behaves as a test wants."""
    (service,) = (one for one in transcoding.services(image) if one.full_name == "feed.v1.Feed")
    return FakeFeed(service)


@asynccontextmanager
async def serving(feed: FakeFeed, path: Path) -> AsyncIterator[str]:
    """Serve the feed over gRPC, and yield its target."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([feed.handler()])
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield f"unix:{path}"
    finally:
        await server.stop(0)


@pytest.fixture
def serve(feed: FakeFeed, image: descriptor_pb2.FileDescriptorSet, tmp_path: Path) -> Serve:
    """Return a function that runs the library's application, with options, before the feed."""

    @asynccontextmanager
    async def serve_(**options: Any) -> AsyncIterator[ASGIApp]:
        async with (
            serving(feed, tmp_path / "f.sock") as target,
            grpc.aio.insecure_channel(target) as channel,
        ):
            yield transcoding.app(image, channel, **options)

    return serve_


@pytest.fixture
async def app(serve: Serve) -> AsyncIterator[ASGIApp]:
    """Return the application as it is without options."""
    async with serve() as running:
        yield running
