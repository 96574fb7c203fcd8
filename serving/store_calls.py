"""What every operation on a store passes through: a span, and how long it took.

An operation is told by our name of it. Neither keys nor values are ever said.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from serving import metrics, tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

REDIS: Final = "redis"
"""Also where it is Valkey: they are spoken to alike."""
SQLITE: Final = "sqlite"


@contextmanager
def called(system: str, operation: str) -> Iterator[None]:
    """Do `operation`, of a small set of names, on a store of kind `system` in the block."""
    started = time.perf_counter()
    attributes = {tracing.DB_SYSTEM: system, tracing.DB_OPERATION: operation}
    failed = None
    with tracing.client_span(operation, None, attributes) as span:
        try:
            yield
        except Exception as error:
            failed = _kind(error)
            tracing.fail(span, failed)
            raise
        except BaseException:
            failed = "cancelled"
            raise
        finally:
            metrics.STORE_DURATION.record(
                time.perf_counter() - started, system=system, operation=operation, error=failed
            )


def _kind(error: Exception) -> str:
    """Return what went wrong: of what a store made of it, the cause, by its class."""
    cause = error.__cause__ or error
    name = type(cause).__name__
    return "timeout" if name == TimeoutError.__name__ else name  # redis-py has one of its own
