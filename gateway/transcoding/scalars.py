"""Single values: from JSON (proto3's JSON mapping, read strictly) and from URL text.

Each function raises InvalidRequestError, which names `path`, for a value that
the field cannot hold.
"""

import base64
import math
import re
import struct
from typing import TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.strict_json import Json

Scalar: TypeAlias = bool | int | float | str | bytes

_F = FieldDescriptor
_INTEGERS = {
    _F.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    _F.CPPTYPE_UINT32: (0, 2**32 - 1),
    _F.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    _F.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = {_F.CPPTYPE_FLOAT: "<f", _F.CPPTYPE_DOUBLE: "<d"}
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9_-]*={0,2}")
_EXACT_INTEGERS = 2**53  # beyond it, a double no longer tells one integer from the next


def from_json(
    field: FieldDescriptor, value: Json, path: str, *, text_floats: bool = True
) -> Scalar:
    """Convert a JSON value to a value of a scalar or enum field.

    Integers may be strings, as browsers need for 64 bits. So may floats, "NaN",
    "Infinity" and "-Infinity" too, unless `text_floats` is false.
    """
    kind = field.cpp_type
    if kind in _INTEGERS:
        return _integer(value, path, *_INTEGERS[kind])
    if kind in _FLOATS:
        if isinstance(value, str) and text_floats:
            return _float_from_text(value, path, _FLOATS[kind])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequestError("must be a number", field=path)
        return _float(value, path, _FLOATS[kind])
    if field.enum_type is not None:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise _no_enum(field.enum_type, path)
        return _enum(field.enum_type, value, path)
    if kind == _F.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise InvalidRequestError("must be true or false", field=path)
        return value
    if not isinstance(value, str):
        raise InvalidRequestError("must be a string", field=path)
    return _bytes(value, path) if field.type == _F.TYPE_BYTES else value


def from_text(field: FieldDescriptor, text: str, path: str) -> Scalar:
    """Convert text from a path or a query to a value of a scalar or enum field."""
    kind = field.cpp_type
    if kind == _F.CPPTYPE_BOOL:
        if text not in {"true", "false"}:
            raise InvalidRequestError("must be true or false", field=path)
        return text == "true"
    if field.enum_type is not None and _DIGITS.fullmatch(text):
        return _enum(field.enum_type, int(text), path)
    return from_json(field, text, path)


def _integer(value: Json, path: str, low: int, high: int) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        number = int(value)
    else:
        raise InvalidRequestError("must be a whole number", field=path)
    if not low <= number <= high:
        raise InvalidRequestError(f"must be from {low} to {high}", field=path)
    return number


def _float_from_text(text: str, path: str, layout: str) -> float:
    if text in _NO_NUMBERS:
        return float(text)
    if not _NUMBER.fullmatch(text):
        raise InvalidRequestError("must be a number", field=path)
    return _float(float(text), path, layout)


def _float(value: float, path: str, layout: str) -> float:
    try:
        number = float(value)
        struct.pack(layout, number)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise InvalidRequestError("is out of range", field=path)
    return number


def _enum(enum: EnumDescriptor, value: int | str, path: str) -> int:
    if isinstance(value, str):
        named = enum.values_by_name.get(value)
        if named is None:
            raise _no_enum(enum, path)
        return named.number
    if enum.is_closed and value not in enum.values_by_number:
        raise _no_enum(enum, path)
    return _integer(value, path, *_INTEGERS[_F.CPPTYPE_INT32])


def _no_enum(enum: EnumDescriptor, path: str) -> InvalidRequestError:
    return InvalidRequestError(f"must be one of {', '.join(enum.values_by_name)}", field=path)


def _bytes(value: str, path: str) -> bytes:
    """Decode base64 of either alphabet, padded or not."""
    body = value.rstrip("=")
    padded = body + "=" * (-len(body) % 4)
    if not _BASE64.fullmatch(value) or len(body) % 4 == 1 or value not in {body, padded}:
        raise InvalidRequestError("must be base64", field=path)
    return base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))
