"""What every attempt at Gemini passes through: a span, and how long it took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from serving import metrics, tracing
from serving.log_areas import debugging

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

CREATE_AUTH_TOKEN: Final = "create_auth_token"  # noqa: S105 - no password
LIST_MODELS: Final = "list_models"

_PROVIDER: Final = "gcp.gemini"
_SPANS: Final = {
    CREATE_AUTH_TOKEN: ("POST auth_tokens", "POST"),
    LIST_MODELS: ("GET models", "GET"),
}


class Attempt:
    """An attempt that is being made."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        """What has to go along, so that the trace goes on."""
        self.status: int | None = None
        self.error: str | None = None

    def succeeded(self) -> None:
        """Note that there was an answer, and a good one."""
        self.status = 200

    def failed(self, kind: str, status: int | None = None) -> None:
        """Note what kind of failure it was, of a small set, and the status, if there was one."""
        self.error, self.status = kind, status


@contextmanager
def attempted(
    operation: str, *, server: str, model: str | None = None, resends: int = 0
) -> Iterator[Attempt]:
    """Attempt `operation` at the host `server` in the block, after `resends` that failed."""
    name, method = _SPANS[operation]
    attributes: dict[str, str | int] = {
        tracing.GEN_AI_PROVIDER: _PROVIDER,
        tracing.GEN_AI_OPERATION: operation,
        tracing.HTTP_METHOD: method,
        tracing.SERVER_ADDRESS: server,
    }
    if model is not None:
        attributes[tracing.GEN_AI_MODEL] = model
    if resends:
        attributes[tracing.HTTP_RESENDS] = resends
        metrics.UPSTREAM_RETRIES.add()
    attempt = Attempt()
    started = time.perf_counter()
    with tracing.client_span(name, attempt.headers, attributes) as span:
        try:
            yield attempt
        except BaseException:
            attempt.error = attempt.error or "cancelled"
            raise
        finally:
            if attempt.status is not None and span.is_recording():
                span.set_attribute(tracing.HTTP_STATUS, attempt.status)
            if attempt.error is not None:
                tracing.fail(span, attempt.error)
            seconds = time.perf_counter() - started
            if debugging(__name__):
                log.debug(
                    "attempt",
                    operation=operation,
                    resends=resends,
                    status=attempt.status,
                    error=attempt.error,
                    duration_ms=round(seconds * 1000, 3),
                )
            metrics.UPSTREAM_DURATION.record(
                seconds,
                operation=operation,
                provider=_PROVIDER,
                model=model,
                status=None if attempt.status is None else str(attempt.status),
                error=attempt.error,
            )
