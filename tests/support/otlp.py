"""A receiver of OTLP traces over gRPC, for the length of a test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from secrets_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects spans, each with the name of the service that sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.received = b""
        self._news = asyncio.Condition()

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's
        """Take what was exported."""
        self.received += request.SerializeToString()
        WATCH.look("a span, as exported", request.SerializeToString())
        async with self._news:
            for resource in request.resource_spans:
                attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [(attributes["service.name"], span) for span in scope.spans]
            self._news.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    async def until(self, enough: Callable[[list[tuple[str, Span]]], bool]) -> None:
        """Wait until `enough` of the spans have come."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: enough(self.spans))


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, Receiver]]:
    """Yield the endpoint to export to, and what receives."""
    receiver = Receiver()
    server = grpc.aio.server()
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server  # has no types
    add(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}", receiver
    finally:
        await server.stop(None)
