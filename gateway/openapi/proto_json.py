"""JSON Schemas of proto3's JSON mapping, as `gateway.transcoding` writes and reads it.

What is read may be more than what is written: integers, and floats, may be strings.
An enum's value that has no name is its number, both ways.
"""

from typing import cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.transcoding.strict_json import Json

Schema = dict[str, Json]

_F = FieldDescriptor
_PACKAGE = "google.protobuf."

_BOUNDS = {
    _F.CPPTYPE_INT32: ("int32", -(2**31), 2**31 - 1),
    _F.CPPTYPE_UINT32: ("uint32", 0, 2**32 - 1),
    _F.CPPTYPE_INT64: ("int64", -(2**63), 2**63 - 1),
    _F.CPPTYPE_UINT64: ("uint64", 0, 2**64 - 1),
}
_LONG = {_F.CPPTYPE_INT64, _F.CPPTYPE_UINT64}
_SIGNED = "^-?[0-9]{1,20}$"
_UNSIGNED = "^[0-9]{1,20}$"
_MAX_FLOAT = 3.4028234663852886e38
_FLOATS: dict[int, Schema] = {
    _F.CPPTYPE_FLOAT: {"format": "float", "minimum": -_MAX_FLOAT, "maximum": _MAX_FLOAT},
    _F.CPPTYPE_DOUBLE: {"format": "double"},
}
_NO_NUMBERS: list[Json] = ["NaN", "Infinity", "-Infinity"]
_FLOAT_TEXT = r"^(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity)$"

_WELL_KNOWN: dict[str, Schema] = {
    "Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "anyOf": [{"required": ["@type"]}, {"maxProperties": 0}],
        "additionalProperties": True,
    },
    "Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "Empty": {"type": "object", "additionalProperties": False},
    "FieldMask": {"type": "string"},
    "ListValue": {"type": "array", "items": {}},
    "Struct": {"type": "object", "additionalProperties": True},
    "Timestamp": {"type": "string", "format": "date-time"},
    "Value": {},
}


def well_known(message: Descriptor, *, read: bool, text_floats: bool = True) -> Schema | None:
    """Return the schema of a message that has JSON of its own, None if it has not."""
    if not message.full_name.startswith(_PACKAGE):
        return None
    name = message.full_name.removeprefix(_PACKAGE)
    if name.endswith("Value") and "value" in message.fields_by_name:
        return scalar(message.fields_by_name["value"], read=read, text_floats=text_floats)
    schema = _WELL_KNOWN.get(name)
    return dict(schema) if schema is not None else None


def scalar(field: FieldDescriptor, *, read: bool, text_floats: bool = True) -> Schema:
    """Return the schema of one value of a scalar or enum field, as it is read or written.

    Floats may be strings, as those that are no numbers must be, where there are `text_floats`.
    """
    kind = field.cpp_type
    if kind in _BOUNDS:
        return _integer(kind, read=read)
    if kind in _FLOATS:
        return _float(kind, read=read) if text_floats else {"type": "number", **_FLOATS[kind]}
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if kind == _F.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if field.type == _F.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "string"}


def text(field: FieldDescriptor) -> Schema:
    """Return the schema of a value of a scalar, enum or text-like field in a URL."""
    if field.message_type is not None:
        return well_known(field.message_type, read=True) or {"type": "string"}
    if field.cpp_type in _BOUNDS:
        name, low, high = _BOUNDS[field.cpp_type]
        return {"type": "integer", "format": name, "minimum": low, "maximum": high}
    if field.cpp_type in _FLOATS:
        return {"type": "number", **_FLOATS[field.cpp_type]}
    return scalar(field, read=True)


def keys(field: FieldDescriptor) -> Schema:
    """Return what a map of such keys says of the names of its members."""
    if field.cpp_type == _F.CPPTYPE_STRING:
        return {}
    names: Schema = {"pattern": _SIGNED}
    if field.cpp_type == _F.CPPTYPE_BOOL:
        names = {"enum": ["true", "false"]}
    return {"propertyNames": names}


def nullable(schema: Schema) -> Schema:
    """Return a schema that takes null too."""
    if not schema:
        return schema
    if "type" in schema:
        kind = schema["type"]
        return schema | {"type": [*(kind if isinstance(kind, list) else [kind]), "null"]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*cast("list[Json]", schema["anyOf"]), {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _integer(kind: int, *, read: bool) -> Schema:
    name, low, high = _BOUNDS[kind]
    digits = _SIGNED if low else _UNSIGNED
    bounds: Schema = {"format": name, "minimum": low, "maximum": high}
    if read:
        return {"type": ["integer", "string"], **bounds, "pattern": digits}
    if kind in _LONG:
        return {"type": "string", "format": name, "pattern": digits}
    return {"type": "integer", **bounds}


def _float(kind: int, *, read: bool) -> Schema:
    if read:
        return {"type": ["number", "string"], **_FLOATS[kind], "pattern": _FLOAT_TEXT}
    return {"anyOf": [{"type": "number", **_FLOATS[kind]}, {"enum": _NO_NUMBERS}]}


def _enum(enum: EnumDescriptor) -> Schema:
    names: Schema = {"type": "string", "enum": [value.name for value in enum.values]}
    name, low, high = _BOUNDS[_F.CPPTYPE_INT32]
    number: Schema = {"type": "integer", "format": name, "minimum": low, "maximum": high}
    return {"anyOf": [names, number]}
