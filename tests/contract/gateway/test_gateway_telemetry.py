"""What the gateway says of a request: one line, two spans, and no secret in either."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from serving import errors, tracing

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
GOOD = {"Authorization": "Bearer good"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01", "tracestate": "a=b"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Return where the spans of the gateway and of its service end up."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def by_kind(spans: InMemorySpanExporter, kind: SpanKind, name: str) -> ReadableSpan:
    """Return the only span of a kind whose name begins so."""
    (span,) = (
        span
        for span in spans.get_finished_spans()
        if span.kind is kind and span.name.startswith(name)
    )
    return span


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes of a span."""
    assert span.attributes is not None
    return span.attributes


async def test_spans_continue_the_callers_trace(gateway: Any, spans: InMemorySpanExporter) -> None:
    """A request is a SERVER span in the caller's trace, its RPC a CLIENT span in that."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | PARENT)
    assert answer.status == 200
    server = by_kind(spans, SpanKind.SERVER, "POST")
    client = by_kind(spans, SpanKind.CLIENT, "")
    assert server.name == f"POST {MINT}"
    assert server.parent is not None
    assert format(server.parent.trace_id, "032x") == TRACE_ID
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.route": MINT,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    assert client.name == "tokenservice.v1.TokenService/CreateToken"
    assert client.parent is not None
    assert client.parent.span_id == server.context.span_id
    assert attributes(client)["rpc.response.status_code"] == "OK"
    sent = gateway.service.metadata
    span_id = format(client.context.span_id, "016x")
    assert sent["traceparent"] == f"00-{TRACE_ID}-{span_id}-01"
    assert sent["tracestate"] == "a=b"


async def test_failures_are_marked(gateway: Any, spans: InMemorySpanExporter) -> None:
    """Our failures mark the span, a caller's mistake does not."""
    gateway.service.failure = errors.Unavailable("secret sentence")
    await gateway.browser.ask("POST", MINT)
    server = by_kind(spans, SpanKind.SERVER, "POST")
    assert server.status.status_code is StatusCode.ERROR
    assert attributes(server)["error.type"] == "503"
    client = by_kind(spans, SpanKind.CLIENT, "")
    assert attributes(client)["error.type"] == "UNAVAILABLE"
    assert "secret" not in "".join(span.to_json() for span in spans.get_finished_spans())
    spans.clear()
    await gateway.browser.ask("GET", MINT)
    assert by_kind(spans, SpanKind.SERVER, "GET").status.status_code is StatusCode.UNSET


async def test_health_is_not_traced(gateway: Any, spans: InMemorySpanExporter) -> None:
    """Being asked for health all day long makes no spans in the gateway."""
    await gateway.browser.ask("GET", MINT + "/health", headers=PARENT)
    kept = [
        span.name
        for span in spans.get_finished_spans()
        if "rpc.method" not in (span.attributes or {})
    ]
    assert kept == []
    assert not [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]


async def test_context_passes_without_sampling(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace that is not sampled here still goes on."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    await gateway.browser.ask("POST", MINT, headers=GOOD | PARENT)
    assert gateway.service.metadata["traceparent"].startswith(f"00-{TRACE_ID}-")
    assert gateway.service.metadata["traceparent"].endswith("-00")


@pytest.mark.parametrize("traceparent", ["nonsense", "é", "00-0-0-0"])
async def test_broken_context_is_ignored(gateway: Any, traceparent: str) -> None:
    """A traceparent that is none does no harm."""
    answer = await gateway.browser.ask("POST", MINT, headers=GOOD | {"traceparent": traceparent})
    assert answer.status == 200


@pytest.mark.parametrize(
    "method, path, logged",
    [
        ("POST", MINT, {"route": MINT, "status": 200, "code": "OK", "method": "POST"}),
        (
            "GET",
            MINT + "/usage?key=SECRET",
            {"route": MINT + "/usage", "status": 400, "code": "INVALID_ARGUMENT"},
        ),
        ("GET", "/SECRET", {"route": None, "status": 404, "code": "NOT_FOUND"}),
        ("DELETE", MINT, {"route": MINT, "status": 405, "code": "METHOD_NOT_ALLOWED"}),
        ("PROPFIND", MINT, {"method": "_OTHER", "status": 405}),
        ("OPTIONS", MINT, {"status": 204, "code": "OK"}),
    ],
)
async def test_one_line_per_request(
    gateway: Any, spans: InMemorySpanExporter, method: str, path: str, logged: dict[str, Any]
) -> None:
    """Each request is one line, with the template for its path, and nothing the caller hides."""
    headers = {"Authorization": "Bearer good", "X-Api-Key": "SECRET", "X-Request-Id": "r-1"}
    with capture_logs() as logs:
        await gateway.browser.ask(method, path, headers=headers)
    (line,) = (entry for entry in logs if entry["event"] == "request")
    assert line.items() >= (logged | {"request_id": "r-1"}).items()
    assert set(line) == {
        "event",
        "log_level",
        "method",
        "route",
        "status",
        "code",
        "duration_ms",
        "request_id",
    }
    everything = str(logs) + "".join(span.to_json() for span in spans.get_finished_spans())
    assert "SECRET" not in everything
    assert "Bearer" not in everything
