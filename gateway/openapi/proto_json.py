"""JSON Schemas of proto3's JSON mapping, as `gateway.transcoding` writes and reads it.

What is read may be more than what is written: integers are strings of digits
too, and enums their numbers.
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
_DIGITS = "^-?[0-9]{1,20}$"
_NUMBERS = {_F.CPPTYPE_FLOAT: "float", _F.CPPTYPE_DOUBLE: "double"}

_WELL_KNOWN: dict[str, Schema] = {
    "Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
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


def well_known(message: Descriptor, *, read: bool) -> Schema | None:
    """Return the schema of a message that has JSON of its own, None if it has not."""
    if not message.full_name.startswith(_PACKAGE):
        return None
    name = message.full_name.removeprefix(_PACKAGE)
    if name.endswith("Value") and "value" in message.fields_by_name:
        return scalar(message.fields_by_name["value"], read=read)
    schema = _WELL_KNOWN.get(name)
    return dict(schema) if schema is not None else None


def scalar(field: FieldDescriptor, *, read: bool) -> Schema:
    """Return the schema of one value of a scalar or enum field, as it is read or written."""
    kind = field.cpp_type
    if kind in _BOUNDS:
        return _integer(kind, read=read)
    if kind in _NUMBERS:
        return {"type": "number", "format": _NUMBERS[kind]}
    if field.enum_type is not None:
        return _enum(field.enum_type, read=read)
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
    return scalar(field, read=True)


def nullable(schema: Schema) -> Schema:
    """Return a schema that takes null too."""
    if not schema:
        return schema
    if "anyOf" in schema:
        return schema | {"anyOf": [*cast("list[Json]", schema["anyOf"]), {"type": "null"}]}
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kind = schema["type"]
    return schema | {"type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def _integer(kind: int, *, read: bool) -> Schema:
    name, low, high = _BOUNDS[kind]
    bounds: Schema = {"format": name, "minimum": low, "maximum": high}
    if read:
        return {"type": ["integer", "string"], **bounds, "pattern": _DIGITS}
    if kind in _LONG:
        return {"type": "string", "format": name, "pattern": _DIGITS}
    return {"type": "integer", **bounds}


def _enum(enum: EnumDescriptor, *, read: bool) -> Schema:
    names: Schema = {"type": "string", "enum": [value.name for value in enum.values]}
    if not read:
        return names
    return {"anyOf": [names, {"type": "integer", "format": "int32"}]}
