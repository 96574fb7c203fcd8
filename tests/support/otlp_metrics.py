"""A receiver of OTLP metrics, over gRPC or over HTTP, for the length of a test."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2 as pb,
    metrics_service_pb2_grpc,
)
from secrets_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


@dataclass
class MetricsReceiver(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Keeps what each service sent last, by the metric's name."""

    by_service: dict[str, dict[str, Metric]] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's
        """Take what was exported."""
        WATCH.look("metrics, as exported", request.SerializeToString())
        async with self._news:
            for each in request.resource_metrics:
                resource = {a.key: a.value.string_value for a in each.resource.attributes}
                service = resource["service.name"]
                self.resources[service] = resource
                kept = self.by_service.setdefault(service, {})
                for scope in each.scope_metrics:
                    kept.update({metric.name: metric for metric in scope.metrics})
            self._news.notify_all()
        return pb.ExportMetricsServiceResponse()

    async def post(self, request: web.Request) -> web.Response:
        """Take what was exported by HTTP."""
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        answer = await self.Export(pb.ExportMetricsServiceRequest.FromString(body), None)
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    async def until(self, enough: Callable[[dict[str, dict[str, Metric]]], bool]) -> None:
        """Wait until `enough` has come."""
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: enough(self.by_service))


@asynccontextmanager
async def receiving_metrics(protocol: str) -> AsyncIterator[tuple[str, MetricsReceiver]]:
    """Yield the endpoint to export to by `grpc` or `http/protobuf`, and what receives."""
    receiver = MetricsReceiver()
    if protocol == "grpc":
        server = grpc.aio.server()
        add: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server  # has no types
        add(receiver, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"http://127.0.0.1:{port}", receiver
        finally:
            await server.stop(None)
        return
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/metrics", receiver.post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", receiver
    finally:
        await runner.cleanup()
