"""Structured logs: JSON lines for machines, colours for a terminal."""

from __future__ import annotations

import io
import logging
import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

# What Gemini's tokens, Google's API keys, JWTs (DPoP proofs too) and our API keys look like; of
# ours the id stays. Then what stands where a credential does, and private keys.
_SECRET = re.compile(
    r"(auth_tokens/)[^\s\"'&]+|(AIza)[\w-]{20,}|(eyJ)[\w-]+\.[\w-]+\.[\w-]*"
    r"|(ltk_[0-9A-Za-z]{12}_)\w{8,}"
    r"|((?i:bearer|dpop)\s+)(?!eyJ|ltk_|auth_tokens/)[\w.~+/=-]{8,}"
    r"|([?&](?:access_token|api_key|key|token)=)(?!auth_tokens/)[^\s\"'&]+"
    r"|(://[^\s/@:\"']*:)[^\s/@\"']+(?=@)"
    r"|(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]+"
)


_SHORTEST_SECRET = 8


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


_own: tuple[str, ...] = ()


def redact(text: str) -> str:
    """Return `text` without what looks like a secret or is one of this process's own.

    A second net, for foreign messages: Gemini repeats a key that it refuses.
    """
    for secret in _own:
        text = text.replace(secret, "[redacted]")
    return _SECRET.sub(lambda found: f"{found[found.lastindex or 0]}[redacted]", text)


def configure(
    service: str,
    level: LogLevel = LogLevel.INFO,
    log_format: LogFormat = LogFormat.AUTO,
    secrets: Iterable[str] = (),
) -> None:
    """Send what is logged, through structlog or logging, to standard error.

    `secrets` are redacted wherever they stand, but for those so short that they may be words.
    """
    global _own  # noqa: PLW0603 - there is one standard error
    _own = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
    pipeline: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"service": service, **event},
        _add_trace_id,
    ]
    if log_format is LogFormat.JSON or (log_format is LogFormat.AUTO and not sys.stderr.isatty()):
        ending: list[Processor] = [
            structlog.processors.ExceptionRenderer(
                # Without locals: they hold credentials.
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            _redact_values,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ]
    else:
        ending = [
            _redact_values,
            structlog.dev.ConsoleRenderer(exception_formatter=_redacted_traceback),
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=pipeline,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("aiohttp.access", "google_genai", "httpx", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)  # these quote URLs and bodies
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *pipeline,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _redacted_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    out.write(redact(text.getvalue()))


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
        event["span_id"] = format(context.span_id, "016x")
    return event


def _redact_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    redacted: dict[str, Any] = _redacted(dict(event))
    return redacted


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _redacted(item) for key, item in value.items()}
        case list() | tuple():
            return [_redacted(item) for item in value]
        case _:
            return value
