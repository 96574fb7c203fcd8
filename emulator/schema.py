"""A small reader of protobuf JSON: what a field may hold, and how Google words a misfit.

A parser takes a JSON value and its path and returns the canonical value, or
raises InvalidPayload. Field names are read in camelCase and snake_case, as
protobuf JSON allows, and returned in camelCase.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from emulator.errors import InvalidPayload

Parser = Callable[[Any, str], Any]

_INT32 = range(-(2**31), 2**31)
_INT64 = range(-(2**63), 2**63)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def snake(name: str) -> str:
    """Return a camelCase field name as the proto file spells it."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def camel(name: str) -> str:
    """Return a snake_case field name as JSON spells it."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def load(text: str | bytes) -> Any:
    """Parse JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidPayload("Invalid JSON payload received. Unable to parse it.") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity are not JSON


def misfit(value: Any, path: str, type_name: str, why: str = "") -> InvalidPayload:
    """Return the error for a value that is not of the field's type."""
    shown = why or json.dumps(value)[:100]
    return InvalidPayload(f"Invalid value at '{path}' ({type_name}), {shown}", path)


class Message:
    """A protobuf message: named fields, each with its parser; anything else is unknown."""

    def __init__(self, fields: Mapping[str, Parser]) -> None:
        self.fields = dict(fields)
        self._names = {spelling: name for name in fields for spelling in (name, snake(name))}

    def field(self, spelling: str) -> str | None:
        """Return the canonical name of a field, or None if there is no such field."""
        return self._names.get(spelling)

    def __call__(self, value: Any, path: str) -> dict[str, Any]:
        """Parse an object."""
        if not isinstance(value, dict):
            raise misfit(value, path, "MESSAGE")
        parsed: dict[str, Any] = {}
        for spelling, content in value.items():
            name = self.field(spelling)
            if name is None:
                where = f" at '{path}'" if path else ""
                raise InvalidPayload(
                    f"Invalid JSON payload received. "
                    f'Unknown name "{spelling}"{where}: Cannot find field.',
                    path,
                )
            if name in parsed:
                raise misfit(content, path, "oneof", f"field '{name}' is set twice")
            if content is not None:  # null means unset
                parsed[name] = self.fields[name](content, join(path, name))
        return parsed


def join(path: str, name: str) -> str:
    """Return the path of a field inside `path`."""
    return f"{path}.{snake(name)}" if path else snake(name)


def anything(value: Any, path: str) -> Any:
    """Accept any JSON value: what the emulator does not look into."""
    del path
    return value


def struct(value: Any, path: str) -> dict[str, Any]:
    """Accept any object."""
    if not isinstance(value, dict):
        raise misfit(value, path, "MESSAGE")
    return value


def string(value: Any, path: str) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise misfit(value, path, "TYPE_STRING")
    return value


def boolean(value: Any, path: str) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise misfit(value, path, "TYPE_BOOL")
    return value


def int32(value: Any, path: str) -> int:
    """Accept a 32-bit integer: a number or a string of digits, as protobuf JSON does."""
    return _integer(value, path, "TYPE_INT32", _INT32)


def int64(value: Any, path: str) -> int:
    """Accept a 64-bit integer."""
    return _integer(value, path, "TYPE_INT64", _INT64)


def _integer(value: Any, path: str, type_name: str, bounds: range) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in bounds:
        raise misfit(value, path, type_name)
    return value


def number(value: Any, path: str) -> float:
    """Accept a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(value, path, "TYPE_FLOAT")
    return value


def bytes_(value: Any, path: str) -> bytes:
    """Accept base64, standard or URL-safe, padded or not, and return what it holds."""
    text = string(value, path).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise misfit(value, path, "TYPE_BYTES", "Base64 decoding failed") from None


def timestamp(value: Any, path: str) -> datetime:
    """Accept an RFC 3339 time; one without a zone is refused, as Google does."""
    type_name = "type.googleapis.com/google.protobuf.Timestamp"
    if not isinstance(value, str):
        raise misfit(value, path, type_name)
    try:
        moment = datetime.fromisoformat(value.upper()) if _RFC3339.fullmatch(value) else None
        if moment:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a 13th month, or a time before the first year
    why = "Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone offset."
    raise misfit(value, path, type_name, why)


def enum(name: str, *values: str) -> Parser:
    """Accept one of the names of an enum."""

    def parse(value: Any, path: str) -> str:
        if value not in values:
            raise misfit(value, path, f"type.googleapis.com/google.ai.generativelanguage.{name}")
        return str(value)

    return parse


def between(low: int, high: int) -> Parser:
    """Accept an integer in a range."""

    def parse(value: Any, path: str) -> int:
        if not low <= int32(value, path) <= high:
            raise InvalidPayload(f"{path} must be from {low} to {high}.", path)
        return int32(value, path)

    return parse


def repeated(item: Parser) -> Parser:
    """Accept a list."""

    def parse(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise misfit(value, path, "repeated field")
        return [item(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return parse
