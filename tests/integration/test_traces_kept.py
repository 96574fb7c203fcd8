"""With a ratio of 0, what is refused or fails is traced all the same, from edge to policy."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from client import caller, new_user
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp import receiving
from spans_plugin import wrong

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from stack.layout import Layout

ROUTE, CREATE = "POST /api/v1/live-token", "tokenservice.v1.TokenService/CreateToken"
RESERVE, GEMINI = "policy.v1.PolicyService/Reserve", "POST auth_tokens"
KINDS = {Span.SPAN_KIND_SERVER: "server", Span.SPAN_KIND_CLIENT: "client"}

HEALTH = "/api/v1/live-token/health"
OF_THE_PROCESS = frozenset(
    {
        "dependency",
        "identities",
        "listening",
        "policy loaded",
        "serving",
        "stopped",
    }
)
"""What is logged outside of any request."""

Spans = list[tuple[str, Span]]


def said(span: Span) -> dict[str, Any]:
    """Return a span's attributes."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


def edges(spans: Spans, above: bytes) -> set[tuple[str, str]]:
    """Return each span with what it hangs below, by service, kind and name."""
    names = {span.span_id: f"{who} {KINDS[span.kind]} {span.name}" for who, span in spans}
    names[above] = "caller"
    return {(names[span.span_id], names[span.parent_span_id]) for _, span in spans}


TOP, ISSUES = f"gateway server {ROUTE}", f"tokenservice server {CREATE}"
REFUSED = {
    (TOP, "caller"),
    (f"gateway client {CREATE}", TOP),
    (ISSUES, TOP),  # what went along was the request's own context
}


KEPT = {"cooldown": 4, "nobody": 3, "content": 3, "upstream": 5, "retried": 1, "last": 3}
"""How many spans of each there are."""


async def test_each_is_a_tree_and_what_went_well_is_none(
    make_layout: Callable[..., Layout],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A refusal by credentials, by content, by policy; a failure of Gemini; strangers' 404s."""
    browser = secrets.token_bytes(8)
    async with receiving() as (endpoint, receiver):
        layout = make_layout(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_TRACES_SAMPLER="parentbased_traceidratio",
            OTEL_TRACES_SAMPLER_ARG="0",
            OTEL_METRICS_EXPORTER="none",
            TRACE_KEPT_PER_SECOND="1000",
            TRACE_SLOW_MS="600000",
            LOG_FORMAT="json",
            POLICY_DECISION_LOG="stdout",
            TOKENSERVICE_LEDGER=str(tmp_path / "ledger.jsonl"),
        )
        async with running(layout) as stack, caller(stack.layout) as client:
            traces: dict[str, bytes] = {}

            async def ask(name: str, status: int, subject: str = "", **more: Any) -> None:
                trace = traces[name] = secrets.token_bytes(16)
                headers = {"traceparent": f"00-{trace.hex()}-{browser.hex()}-01"}
                if subject:
                    headers["Authorization"] = client.bearer(subject)
                answer = await client.call(headers=headers, **more)
                assert answer.status == status
                assert answer.headers["x-trace-id"] == trace.hex()
                assert answer.body.get("traceId", trace.hex()) == trace.hex()

            ann = new_user()
            await ask("minted", 200, ann)
            await ask("nowhere", 404, ann, path="/api/v1/nothing")
            await ask("cooldown", 429, ann)
            await ask("nobody", 401)
            await ask("content", 400, new_user(), json={"model": "gemini-of-nobody"})
            await client.emulator("POST", "faults/mint", [{"status": 503, "count": 1}])
            await ask("retried", 200, new_user())
            await client.emulator("POST", "faults/mint", [{"status": 503}])
            await ask("upstream", 503, new_user())
            await client.emulator("DELETE", "faults/mint")
            await ask("last", 401)
            await receiver.until(
                lambda spans: all(len(_of(spans, traces[name])) >= n for name, n in KEPT.items())
            )
    found = {name: _of(receiver.spans, trace) for name, trace in traces.items()}
    assert {name: len(spans) for name, spans in found.items() if spans} == KEPT
    assert found["minted"] == found["nowhere"] == []
    by_name = {name: edges(spans, browser) for name, spans in found.items() if name != "retried"}
    assert by_name["nobody"] == by_name["last"] == by_name["content"] == REFUSED
    assert by_name["cooldown"] == REFUSED | {(f"policy server {RESERVE}", ISSUES)}
    assert by_name["upstream"] == REFUSED | {(f"tokenservice client {GEMINI}", ISSUES)}
    assert [span.name for _, span in found["upstream"]].count(GEMINI) == 2
    ((who, first),) = found["retried"]  # the request went well: there is but what did not
    assert (who, first.name) == ("tokenservice", GEMINI)
    for _, span in receiver.spans:
        assert wrong(span.name, said(span)) == []
        assert said(span)["live_token.kept"] is True
    (reserved,) = (span for who, span in found["cooldown"] if who == "policy")
    assert said(reserved)["live_token.decision"] == "refused_cooldown"
    assert reserved.status.code == Status.STATUS_CODE_UNSET
    output = capfd.readouterr()
    check_records(traces, output.err, output.out, (tmp_path / "ledger.jsonl").parent)


def check_records(traces: dict[str, bytes], logs: str, decisions: str, ledger: Path) -> None:
    """Check that each trace is found in all that is written of its request."""
    lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
    served = [each for each in lines if each["event"] not in OF_THE_PROCESS]
    assert {each["event"] for each in served} > {"request", "rpc", "decision", "gemini refused"}
    known = {trace.hex() for trace in traces.values()}
    assert {each.get("trace_id") for each in served if each.get("route") != HEALTH} == known
    for name, trace in traces.items():
        services = {each["service"] for each in served if each.get("trace_id") == trace.hex()}
        assert services >= ({"gateway"} if name == "nowhere" else {"gateway", "tokenservice"})
    entries = [json.loads(line) for line in decisions.splitlines() if line.startswith("{")]
    decided = {each["trace_id"] for each in entries if each["event"] == "decision"}
    asked = {"minted", "cooldown", "retried", "upstream"}
    assert decided == {traces[name].hex() for name in asked}
    rows = [row for path in ledger.glob("*.jsonl") for row in path.read_text().splitlines()]
    assert {json.loads(row)["trace_id"] for row in rows} == known - {traces["nowhere"].hex()}


def _of(spans: Spans, trace: bytes) -> Spans:
    return [(who, span) for who, span in spans if span.trace_id == trace]
