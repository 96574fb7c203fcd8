"""What measuring costs a call, in one run: without a provider, with one, and in its parts.

    .venv/bin/python bench/metrics.py

Times are of this machine, now; the ratios are what tells.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from opentelemetry import metrics as metrics_api, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from serving import metrics
from serving.scraping import PrometheusReader

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLS = 20_000
_ROUNDS = 9
# A mint: ups and downs, then durations, then counters; at the gateway, tokenservice and policy.
_UP_DOWNS, _DURATIONS, _COUNTERS = 4 + 2 + 4, 2 + 4 + 6, 0 + 1 + 1


def micros(work: Callable[[], object]) -> float:
    """Return the microseconds of one call: the best of several rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        gc.collect()
        started = time.process_time()
        for _ in range(_CALLS):
            work()
        best = min(best, time.process_time() - started)
    return best / _CALLS * 1e6


def record() -> None:
    """Note a duration with three labels."""
    metrics.RPC_SERVER_DURATION.record(0.003, method="a.B/C", code="OK", error=None)


def count() -> None:
    """Count with two labels."""
    metrics.ISSUED.add(model="m", tier="default")


def plain() -> None:
    """Count without labels."""
    metrics.RPC_ACTIVE.add(1)


def report(title: str) -> float:
    """Print what each kind costs, and what a mint does."""
    up_down, counted, recorded = micros(plain), micros(count), micros(record)
    mint = _UP_DOWNS * up_down + _COUNTERS * counted + _DURATIONS * recorded
    print(
        f"{title:<34} up/down {up_down:5.2f}  counter {counted:5.2f}  duration {recorded:5.2f}"
        f"  a mint {mint:6.1f} µs"
    )
    return mint


def sampled() -> trace.Span:
    """Return a span that is sampled, so that exemplars are kept of it."""
    return NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(1)))


def main() -> None:
    """Measure."""
    off = report("no provider")
    reader = PrometheusReader()
    metrics_api.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    on = report("scraped, not sampled")
    with trace.use_span(sampled()):
        exemplars = report("scraped, sampled: with exemplars")
    labels = metrics.RPC_SERVER_DURATION._labelled  # noqa: SLF001 - its part of the cost
    values = {"method": "a.B/C", "code": "OK", "error": None}
    print(f"{'of which bounding labels':<34} {micros(lambda: labels(values)):.2f} µs a call")
    print(f"ratio to no provider: {on / off:.1f}, sampled {exemplars / off:.1f}")
    started = time.process_time()
    reader.read()
    print(f"a collection: {(time.process_time() - started) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
