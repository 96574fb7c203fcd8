"""What can be configured: a flag, or the environment variable of the same name."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM = "gemini-live-emulator"
ENV_PREFIX = "GEMINI_LIVE_EMULATOR_"
NO_TLS = -1

_MAX_PORT = 65535
_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of one emulator. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 8090
    tls_port: int = 8443
    tls_names: tuple[str, ...] = ()
    ca_file: Path | None = None
    api_key: str = "emulator-key"
    log_level: str = "info"
    connection_seconds: float = 600
    go_away_seconds: float = 60
    answer_after_audio_bytes: int = 320_000


class OptionsError(Exception):
    """A flag or variable with an unusable value; the message is one line and names it."""


def parse_options(argv: Sequence[str] | None, environ: Mapping[str, str] = os.environ) -> Options:
    """Read the command line, and the environment for what it leaves out."""
    flags = vars(_parser().parse_args(argv))
    values: dict[str, Any] = {}
    for setting in _SETTINGS:
        source, text = setting.flag, flags[setting.name]
        if text is None:
            source, text = setting.variable, environ.get(setting.variable)
        if text is None:
            continue
        try:
            values[setting.name] = setting.read(text)
        except ValueError as error:
            raise OptionsError(f"{source}: {error}") from None
    return Options(**values)


def _port(text: str) -> int:
    return _integer(text, 0, _MAX_PORT, "a port number")


def _tls_port(text: str) -> int:
    return _integer(text, NO_TLS, _MAX_PORT, "a port number, or -1 for no TLS")


def _count(text: str) -> int:
    return _integer(text, 0, 2**31, "a number of bytes")


def _integer(text: str, low: int, high: int, what: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(f"{text!r} is not {what}")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{text!r} is not a number of seconds above 0")
    return value


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _log_level(text: str) -> str:
    if text.lower() not in _LOG_LEVELS:
        raise ValueError(f"{text!r} is none of {', '.join(_LOG_LEVELS)}")
    return text.lower()


def _path(text: str) -> Path:
    return Path(_text(text))


@dataclass(frozen=True)
class _Setting:
    name: str
    read: Callable[[str], Any]
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()


_SETTINGS = (
    _Setting("host", _text, "address to listen on (127.0.0.1)"),
    _Setting("port", _port, "port for http and ws (8090; 0: any free one)"),
    _Setting("tls_port", _tls_port, "port for https and wss (8443; 0: any free one; -1: none)"),
    _Setting("tls_names", _names, "further names for the certificate, separated by commas"),
    _Setting("ca_file", _path, "where to write the certificate authority (a temporary file)"),
    _Setting("api_key", _text, "the API key to accept (emulator-key)"),
    _Setting("log_level", _log_level, f"{', '.join(_LOG_LEVELS)} (info)"),
    _Setting("connection_seconds", _seconds, "how long a live connection may last (600)"),
    _Setting("go_away_seconds", _seconds, "how long before its end goAway is sent (60)"),
    _Setting(
        "answer_after_audio_bytes",
        _count,
        "answer realtime audio after so many bytes (320000; 0: only when it ends)",
    ),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionsError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="An emulator of the Gemini Live API. "
        f"Each flag can also be set as {ENV_PREFIX}….",
        allow_abbrev=False,
    )
    for setting in _SETTINGS:
        parser.add_argument(setting.flag, dest=setting.name, metavar="VALUE", help=setting.help)
    return parser
