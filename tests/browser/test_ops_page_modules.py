"""What the operations page reckons with, module by module, in the browser that runs it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from ops_page import Operator

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]
EVENTS = """async (bytes) => {
  const { eventsOf } = await import("/ops/event-stream.js");
  const all = [];
  for (let size = 1; size <= bytes.length; size += 1) {
    let heard = 0;
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(Uint8Array.from(bytes.slice(at, at + size)));
        }
        controller.close();
      },
    });
    const events = [];
    for await (const event of eventsOf(body, () => { heard += 1; })) events.push(event);
    all.push(JSON.stringify([events, heard === Math.ceil(bytes.length / size)]));
  }
  return [...new Set(all)].map((each) => JSON.parse(each));
}"""
HEARD = """async (moments) => {
  const { Heard, sum } = await import("/ops/heard.js");
  const heard = new Heard();
  const now = Date.now();
  const zero = Date.parse("2026-01-01T00:00:00Z");
  for (const [connection, second, period, issued] of moments) {
    const time = new Date(zero + second * 1000).toISOString();
    const refused = [{ reason: "R", count: issued }];
    heard.add({ time, period: `${period}s`, issued, replayed: 0, refused }, connection);
  }
  const { seconds, issued, refused } = sum(heard.samples, now - 1e7, now + 1e7);
  const runs = heard.runs.map((run) => run.map((each) => each.issued));
  const last = heard.samples.at(-1);
  return {
    runs, issued, seconds,
    refused: refused.get("R") ?? 0,
    overlap: heard.samples.some(({ start }, at) => at > 0 && start < heard.samples[at - 1].end),
    late: last ? Math.round((last.end - now) / 1000) : 0,
  };
}"""
SCALES = """async () => {
  const { position } = await import("/ops/latency.js");
  const { niceTop } = await import("/ops/panel.js");
  const { ago, latency, span, spelled } = await import("/ops/words.js");
  return {
    position: [0, 0.1, 1, 100, 10_000, 1e6].map((ms) => Math.round(position(ms) * 100) / 100),
    top: [0, 0.2, 1, 1.1, 2, 3, 7, 11, 60, 999, 1001].map(niceTop),
    latency: [0.12, 5, 9.96, 12.3, 999.4, 999.6, 1200, 12_000].map(latency),
    span: [0, 59_000, 3_600_000, 86_399_000, 86_400_000, 600_000_000].map(span),
    ago: [-5, 12_400, 61_000, 3_000_000].map(ago),
    spelled: ["RATE_LIMIT_EXCEEDED", "SERVING", "_OTHER"].map(spelled),
  };
}"""


async def events_of(operator: Operator, text: str) -> Any:
    """Return what a stream's text is taken for, however it comes in pieces; always the same."""
    (only,) = await operator.page.evaluate(EVENTS, list(text.encode()))
    events, heard = only
    assert heard
    return [(event["event"], event["data"]) for event in events]


async def test_events_are_those_of_the_stream(operate: Operate) -> None:
    """Wherever the bytes are cut: messages, names, comments, all ends of lines, and no rest."""
    async with operate() as operator:
        for text, events in [
            ('data: {"a":"ü"}\n\n', [("message", '{"a":"ü"}')]),
            ("event: end\ndata: {}\n\ndata: 1\n\n", [("end", "{}"), ("message", "1")]),
            (": \n\ndata: 1\n\n: \n\n", [("message", "1")]),
            ("data: 1\r\n\r\ndata:2\r\rdata: 3\n\n", [("message", str(n)) for n in (1, 2, 3)]),
            ("data: one\r\ndata: two\r\n\r\n", [("message", "one\ntwo")]),
            ("data: one\ndata: two\ndata\n\n", [("message", "one\ntwo\n")]),
            ("event: none\n\ndata: 1\n\n", [("message", "1")]),
            ("id: 7\nretry: 1\ndata:  spaced\n\n", [("message", " spaced")]),
            ("data: 1\n\ndata: cut off", [("message", "1")]),
            ("data: 1\n\ndata: cut off\n", [("message", "1")]),
        ]:
            assert await events_of(operator, text) == events, text


async def test_what_is_heard_adjoins_or_does_not(operate: Operate) -> None:
    """Samples of one connection adjoin; between connections, and where messages lack, is a gap."""
    async with operate() as operator:

        async def heard(*moments: tuple[int, float, float, int]) -> Any:
            return await operator.page.evaluate(HEARD, list(moments))

        first = [(1, 0.0, 0.0, 0), (1, 1.0, 1.0, 3), (1, 2.02, 1.0, 4)]
        one = await heard(*first)
        assert (one["runs"], one["issued"], one["refused"]) == ([[3, 4]], 7, 7)
        assert one["seconds"] == pytest.approx(2.02)
        missed = await heard(*first, (1, 9.0, 1.0, 5))
        assert missed["runs"] == [[3, 4], [5]]
        # Another process, whose clock is an hour behind, and one that is a day ahead.
        for skew in (-3_600.0, 86_400.0):
            other = await heard(*first, (2, skew, 0.0, 0), (2, skew + 3, 3.0, 5))
            assert (other["runs"], other["overlap"]) == ([[3, 4], [5]], False)
            assert other["late"] in (2, 3)
        slow = await heard((1, 0.0, 0.0, 0), (1, 10.0, 10.0, 50))
        assert (slow["runs"], slow["seconds"]) == ([[50]], 10)
        old = await heard(*first, (1, 302.0, 300.0, 9), (1, 303.0, 1.0, 1))
        assert old["issued"] == 10


async def test_numbers_are_written_for_people(operate: Operate) -> None:
    """Scales are round and bounded, and times, counts and codes short."""
    async with operate() as operator:
        assert await operator.page.evaluate(SCALES) == {
            "position": [0, 0, 0.2, 0.6, 1, 1],
            "top": [1, 1, 1, 2, 2, 5, 10, 20, 100, 1000, 2000],
            "latency": ["0.1 ms", "5 ms", "10 ms", "12 ms", "999 ms", "1 s", "1.2 s", "12 s"],
            "span": ["0:00", "0:59", "1:00:00", "23:59:59", "1 d 0 h", "6 d 22 h"],
            "ago": ["0 s ago", "12 s ago", "1 min ago", "50 min ago"],
            "spelled": ["Rate limit exceeded", "Serving", "Other"],
        }
