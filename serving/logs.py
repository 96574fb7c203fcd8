"""Structured logs: JSON lines for machines, aligned ones for a terminal."""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import trace

from serving import log_areas, log_console, log_values, redacting
from serving.log_writing import LineWriter
from serving.redacting import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Event = dict[str, Any]

__all__ = ["LogFormat", "LogLevel", "catch_all", "configure", "redact"]

# These quote URLs and bodies, or say what we say ourselves.
_SILENT = ("aiohttp.access", "google_genai", "httpx", "uvicorn.access", "uvicorn.error")


class LogLevel(StrEnum):
    """How much is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How it is said. `auto`: `console` in a terminal, else `json`."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def configure(
    service: str,
    level: LogLevel = LogLevel.INFO,
    log_format: LogFormat = LogFormat.AUTO,
    secrets: Iterable[str] = (),
    debug: Iterable[str] = (),
) -> None:
    """Send what is logged, through structlog or logging, to standard error.

    `secrets` are redacted wherever they stand, but for those so short that they may be
    words. All is said of the areas in `debug`, whatever the level.
    """
    redacting.know(secrets)
    terminal = sys.stderr is not None and sys.stderr.isatty()  # None: it is closed
    as_json = log_format is LogFormat.JSON or (log_format is LogFormat.AUTO and not terminal)
    handler = logging.NullHandler() if sys.stderr is None else LineWriter(sys.stderr)
    handler.setFormatter(_Lines(service, _json if as_json else _console(terminal=terminal)))
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=number, force=True)
    log_areas.switch(debug, number)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_Logger,
        cache_logger_on_first_use=True,
    )


def catch_all() -> None:
    """Log what Python would print by itself: defects that nobody caught, and warnings."""
    log = structlog.get_logger(__name__)

    def in_main(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):  # somebody's wish, and no defect
            sys.__excepthook__(kind, error, traceback)
        else:
            log.critical("not caught", exc_info=error)

    def in_thread(given: threading.ExceptHookArgs) -> None:
        log.error("not caught", thread=getattr(given.thread, "name", None), exc_info=given[1])

    def in_finalizer(given: Any) -> None:
        log.error("not caught", exc_info=given.exc_value)

    sys.excepthook, threading.excepthook = in_main, in_thread
    sys.unraisablehook = in_finalizer
    logging.captureWarnings(capture=True)


class _Logger(structlog.stdlib.BoundLogger):
    def debug(self, event: str | None = None, *args: Any, **fields: Any) -> Any:
        """Do nothing, and quickly, unless somebody wants to know."""
        if self._logger.isEnabledFor(logging.DEBUG):
            return super().debug(event, *args, **fields)
        return None


class _Lines(logging.Formatter):
    """Makes one line of each record, whatever is in it."""

    def __init__(self, service: str, render: Callable[[Event], str]) -> None:
        super().__init__()
        self._service = service
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._render(self._event(record))
        except Exception as error:  # noqa: BLE001 - who logs is not to fail of it
            said = {"event": "not a log line", "logger": record.name, "cause": type(error).__name__}
            return self._render(self._common(record) | said)

    def _event(self, record: logging.LogRecord) -> Event:
        given: Mapping[str, Any]
        if isinstance(record.msg, dict):
            given = record.msg
            error = given.get("exc_info")
        else:
            given = {"event": record.getMessage(), "logger": record.name}
            error = record.exc_info
        event = self._common(record)
        event["event"] = given.get("event")
        event.update(structlog.contextvars.get_contextvars())
        event.update((name, value) for name, value in given.items() if name not in _RESERVED)
        if record.levelno <= logging.DEBUG and (area := log_areas.of_logger(record.name)):
            event["area"] = area
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = format(context.trace_id, "032x")
            event["span_id"] = format(context.span_id, "016x")
        if error:
            event["exception"] = _exc_info(error)
        return event

    def _common(self, record: logging.LogRecord) -> Event:
        moment = datetime.fromtimestamp(record.created, UTC)
        return {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": None,
        }


_RESERVED = frozenset({"timestamp", "level", "service", "event", "exc_info", "stack_info"})


def _exc_info(given: Any) -> Any:
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    return given if isinstance(given, tuple) else sys.exc_info()


# Without locals: they hold credentials.
_exception_dicts = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def _json(event: Event) -> str:
    if "exception" in event:
        event["exception"] = _exception_dicts(event["exception"])
    return log_values.as_json(event)


def _console(*, terminal: bool) -> Callable[[Event], str]:
    colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def render(event: Event) -> str:
        if "exception" in event:
            told = StringIO()
            structlog.dev.plain_traceback(told, event["exception"])
            event["exception"] = told.getvalue()
        chars = log_values.MAX_LINE_BYTES if "exception" in event else log_values.MAX_CHARS
        return log_console.as_text(log_values.plain(event, chars), colours=colours)

    return render
