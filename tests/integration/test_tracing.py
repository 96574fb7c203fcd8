"""One trace for one request, across three processes and the call to Gemini."""

import secrets
from collections.abc import Callable

from client import caller, new_user
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp import receiving

from stack.layout import Layout
from stack.supervisor import running

CLIENT, SERVER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER


async def test_a_callers_trace_continues_through_every_hop(
    make_layout: Callable[..., Layout],
) -> None:
    """Each span's parent is the hop before it, from the caller's traceparent to Gemini."""
    trace_id, caller_span = secrets.token_bytes(16), secrets.token_bytes(8)
    traceparent = f"00-{trace_id.hex()}-{caller_span.hex()}-01"
    async with receiving() as (endpoint, receiver):
        layout = make_layout(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        async with running(layout) as stack, caller(stack.layout) as client:
            authorization = client.bearer(new_user())
            headers = {"traceparent": traceparent, "Authorization": authorization}
            answer = await client.call(headers=headers)
            assert answer.status == 200
            mints = (await client.emulator("GET", "mints"))["mints"]
            await receiver.until(
                lambda spans: sum(span.trace_id == trace_id for _, span in spans) >= 8
            )

    spans = {
        (service, span.name, span.kind): span
        for service, span in receiver.spans
        if span.trace_id == trace_id
    }

    def parent_of(service: str, name: str, kind: "Span.SpanKind.ValueType") -> bytes:
        return spans[service, name, kind].parent_span_id

    def id_of(service: str, name: str, kind: "Span.SpanKind.ValueType") -> bytes:
        return spans[service, name, kind].span_id

    route = "POST /api/v1/live-token"
    create = "tokenservice.v1.TokenService/CreateToken"
    assert parent_of("gateway", route, SERVER) == caller_span
    assert parent_of("gateway", create, CLIENT) == id_of("gateway", route, SERVER)
    assert parent_of("tokenservice", create, SERVER) == id_of("gateway", create, CLIENT)
    for method in ("Reserve", "Commit"):
        name = f"policy.v1.PolicyService/{method}"
        assert parent_of("tokenservice", name, CLIENT) == id_of("tokenservice", create, SERVER)
        assert parent_of("policy", name, SERVER) == id_of("tokenservice", name, CLIENT)
    gemini = id_of("tokenservice", "POST auth_tokens", CLIENT)
    assert parent_of("tokenservice", "POST auth_tokens", CLIENT) == id_of(
        "tokenservice", create, SERVER
    )
    assert f"00-{trace_id.hex()}-{gemini.hex()}-01" in str(mints)
    assert not any("Health" in span.name or "health" in span.name for _, span in receiver.spans)
    for secret in (answer.body["token"], authorization.split()[1], "emulator-key"):
        assert secret.encode() not in receiver.received
