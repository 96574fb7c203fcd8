"""The trace of a token, and of a refusal, as a receiver reads them that none of us wrote."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from client import caller, new_user
from layouts import free_ports
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings
from secrets_watch import WATCH
from servers import valkey_server
from spans_plugin import wrong

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from stack.layout import Layout

SERVER, CLIENT = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT
KINDS = {SERVER: "server", CLIENT: "client"}
CREATE = "tokenservice.v1.TokenService/CreateToken"
POLICY = "policy.v1.PolicyService"
HASH_KEY = "a hash key of the tests, long enough."

Tree = dict[str, Any]


@dataclass
class Received:
    """The spans that came."""

    spans: list[Span] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, stream: AsyncIterator[Span]) -> None:
        """Take what comes, for ever."""
        async for span in stream:
            WATCH.look("a span, as received", str(span))
            async with self.news:
                self.spans.append(span)
                self.news.notify_all()

    async def of(self, trace: bytes, count: int) -> list[Span]:
        """Return the spans of a trace, once there are so many."""

        def found() -> list[Span]:
            return [span for span in self.spans if span.trace_id == trace]

        async with asyncio.timeout(30), self.news:
            await self.news.wait_for(lambda: len(found()) >= count)
        return found()


@asynccontextmanager
async def tapping() -> AsyncIterator[tuple[str, Received]]:
    """Yield where to send to, and what came."""
    (port,) = free_ports(1)
    settings = OtelTapHttpProtobufReceiverSettings(
        http_port=port,
        listen_on_all_interfaces=False,
        print_traces_as_ndjson=False,
        print_logs_as_ndjson=False,
        print_metrics_as_ndjson=False,
    )
    received = Received()
    async with OtelTapHttpProtobufReceiver(settings) as receiver:
        taking = asyncio.create_task(received.take(receiver.stream_traces()))
        try:
            yield f"http://127.0.0.1:{port}", received
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)


def tree(spans: list[Span], above: bytes) -> Tree:
    """Return what hangs below a span, as names within names; each span is in it once."""
    below = [span for span in spans if span.parent_span_id == above]
    return {f"{KINDS[span.kind]} {span.name}": tree(spans, span.span_id) for span in below}


def size(of: Tree) -> int:
    """Return how many spans are in a tree."""
    return sum(1 + size(each) for each in of.values())


def said(span: Span) -> dict[str, Any]:
    """Return a span's attributes."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


def called(method: str, *within: str) -> Tree:
    """Return the two ends of an RPC to policy, and what its server asked the store."""
    name = f"{POLICY}/{method}"
    return {f"client {name}": {f"server {name}": {f"client {each}": {} for each in within}}}


async def test_a_trace_is_whole(make_layout: Callable[..., Layout], tmp_path: Path) -> None:
    """From the caller through gateway, tokenservice and policy to Redis and Gemini, in order."""
    ids = [secrets.token_bytes(16) for _ in range(2)]
    browser = secrets.token_bytes(8)
    async with tapping() as (endpoint, received), valkey_server(tmp_path / "store") as store:
        layout = make_layout(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_METRICS_EXPORTER="none",
            POLICY_STORE_URL=store.url,
            POLICY_HASH_KEY=HASH_KEY,
        )
        async with running(layout) as stack, caller(stack.layout) as client:
            user = client.bearer(new_user())
            answers = []
            for trace in ids:
                parent = f"00-{trace.hex()}-{browser.hex()}-01"
                headers = {"Authorization": user, "traceparent": parent}
                answers.append(await client.call(headers=headers))
            assert [answer.status for answer in answers] == [200, 429]
            minted, refused = await received.of(ids[0], 10), await received.of(ids[1], 6)

    route = "server POST /api/v1/live-token"
    whole = tree(minted, browser)
    assert whole == {
        route: {
            f"client {CREATE}": {
                f"server {CREATE}": {
                    **called("Reserve", "reserve"),
                    "client POST auth_tokens": {},
                    **called("Commit", "commit"),
                }
            }
        }
    }
    assert size(whole) == len(minted) == 10
    part = tree(refused, browser)
    create = {f"server {CREATE}": called("Reserve", "reserve")}
    assert part == {route: {f"client {CREATE}": create}}
    assert size(part) == len(refused) == 6

    for span in received.spans:
        assert wrong(span.name, said(span)) == []
    told = {f"{KINDS[span.kind]} {span.name}": said(span) for span in refused}
    decision = answers[1].body["decisionId"]
    assert answers[1].body["traceId"] == answers[1].headers["x-trace-id"] == ids[1].hex()
    judged = told[f"server {POLICY}/Reserve"]
    assert judged["live_token.decision"] == "refused_cooldown"
    assert judged["live_token.limit"] == judged["live_token.reason"] == "cooldown"
    assert judged["live_token.tier"] == "default"
    assert judged["live_token.decision_id"] == decision
    assert told[f"server {CREATE}"]["live_token.decision_id"] == decision
    assert told[f"server {CREATE}"]["live_token.reason"] == "RATE_LIMIT_EXCEEDED"
    assert told[f"server {CREATE}"]["gen_ai.request.model"] == "gemini-3.8-live"
    assert told["client reserve"] == {
        "db.system.name": "redis",
        "db.operation.name": "reserve",
    }
    assert told[route]["http.response.status_code"] == 429
    failed = [span.name for span in refused if span.status.code == Status.STATUS_CODE_ERROR]
    assert failed == [CREATE]  # the client's end: a refusal is no fault of a server's
    (mint,) = (said(span) for span in minted if span.name == "POST auth_tokens")
    assert mint["http.response.status_code"] == 200
    assert mint["gen_ai.provider.name"] == "gcp.gemini"
