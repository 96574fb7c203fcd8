"""What every RPC that we make passes through: a span, and how long it took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from serving import metrics, tracing
from serving.log_areas import debugging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

log = structlog.get_logger(__name__)


_CANCELLED = "CANCELLED"


class ClientCall:
    """A call that is being made."""

    def __init__(self, span: Span, carrier: dict[str, str]) -> None:
        self._span = span
        self.metadata = tuple(carrier.items())
        """What has to go along, so that the trace goes on."""
        self.code = "OK"
        self.error: str | None = None

    def failed(self, code: str) -> None:
        """Note with which status it ends: for a client, each but OK is a failure."""
        self.code = self.error = code
        tracing.fail(self._span, code)


@contextmanager
def called(method: str, *, streams: bool = False) -> Iterator[ClientCall]:
    """Make a call of `method`, as `package.Service/Method`, in the block.

    What `streams` lasts as long as its caller likes: it is never slow, and to leave it is
    no failure.
    """
    carrier: dict[str, str] = {}
    attributes = {tracing.RPC_SYSTEM: "grpc", tracing.RPC_METHOD: method}
    started = time.perf_counter()
    with tracing.client_span(method, carrier, attributes) as span:
        call = ClientCall(span, carrier)
        if streams:
            tracing.wait_for(span)
        try:
            yield call
        except BaseException:
            if call.code == "OK":  # we were told to stop
                if streams:
                    call.code = _CANCELLED
                else:
                    call.failed(_CANCELLED)
            raise
        finally:
            if span.is_recording():
                span.set_attribute(tracing.RPC_STATUS, call.code)
            seconds = time.perf_counter() - started
            metrics.RPC_CLIENT_DURATION.record(
                seconds, method=method, code=call.code, error=call.error
            )
            if debugging(__name__):
                log.debug(
                    "called",
                    method=method,
                    code=call.code,
                    duration_ms=round(seconds * 1000, 3),
                )
