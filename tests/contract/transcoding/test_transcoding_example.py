"""The example that docs/transcoding.md shows, run as its reader would run it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
from google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from feed_api import FakeFeed

EXAMPLE = Path(__file__).parents[3] / "examples" / "transcode_any_api.py"
_RUNNING = re.compile(rb"running on (http://\S+)")


@asynccontextmanager
async def started(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the example until this ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        *map(str, arguments),
        cwd=EXAMPLE.parents[1],
        env={"PYTHONPATH": "."},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def base_url(process: asyncio.subprocess.Process) -> str:
    """Return where the example says that it listens."""
    assert process.stderr is not None
    async for line in process.stderr:
        found = _RUNNING.search(line)
        if found:
            return found[1].decode()
    raise AssertionError


async def test_the_example_serves_an_api_that_it_was_not_made_for(
    feed: FakeFeed, image: descriptor_pb2.FileDescriptorSet, tmp_path: Path
) -> None:
    """From a descriptor set and a target, unary methods and streams are served over HTTP."""
    described, socket = tmp_path / "feed.binpb", tmp_path / "f.sock"
    described.write_bytes(image.SerializeToString())
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([feed.handler()])
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    feed.held = asyncio.Event()
    feed.held.set()
    async with (
        started(described, f"unix:{socket}", "--port", 0, "--auto-mapping") as process,
        aiohttp.ClientSession(await base_url(process)) as client,
    ):
        async with client.get("/v1/items/a") as answer:
            assert (await answer.json())["name"] == "a"
        async with client.post("/feed.v1.Feed/Bare", json={"name": "b"}) as answer:
            assert (await answer.json())["name"] == "b"
        async with client.get("/v1/files/a") as answer:
            assert (answer.content_type, await answer.read()) == ("image/png", b"<a>")
        feed.held.clear()
        async with client.get("/v1/items/a:watch?count=1") as answer:
            assert answer.content_type == "application/x-ndjson"
            # The stream goes on, and what there is of it is here.
            assert json.loads(await answer.content.readline()) == {
                "result": {"name": "a", "number": 1}
            }
        await feed.cancelled.wait()  # for the client has left
    await server.stop(0)


async def test_the_example_names_a_rule_that_cannot_be_served(
    image: descriptor_pb2.FileDescriptorSet, tmp_path: Path
) -> None:
    """A descriptor set without its imports is one line, and no traceback."""
    described = tmp_path / "feed.binpb"
    lacking = descriptor_pb2.FileDescriptorSet(file=image.file[-1:])
    described.write_bytes(lacking.SerializeToString())
    async with started(described, "unix:/dev/null") as process:
        _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.decode().count("\n") == 1
    assert "not complete" in stderr.decode()
