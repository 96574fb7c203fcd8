"""Fill messages from JSON, field by field, so that each error names its field.

Well-known types are read as proto3's JSON mapping says. So are floats, as
strings too, unless `text_floats` is false. Each function raises InvalidRequestError.
"""

import re
from functools import lru_cache
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import EncodeError, Message

from gateway.transcoding import scalars
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.strict_json import Json, join

_PACKAGE = "google.protobuf."
WRAPPERS = frozenset(
    _PACKAGE + name
    for name in (
        "BoolValue",
        "BytesValue",
        "DoubleValue",
        "FloatValue",
        "Int32Value",
        "Int64Value",
        "StringValue",
        "UInt32Value",
        "UInt64Value",
    )
)
"""Messages that look like their only field, `value`."""
TEXTS = {
    _PACKAGE + "Duration": "must be a duration in seconds, such as 1.5s",
    _PACKAGE + "FieldMask": "must be field paths with commas between them",
    _PACKAGE + "Timestamp": "must be a time as in RFC 3339, such as 2026-01-01T00:00:00Z",
}
"""Messages that look like strings, and what is said of a string that is none."""
_FORMS = {
    _PACKAGE + "Duration": re.compile(r"-?[0-9]+(?:\.[0-9]{0,9})?s"),
    _PACKAGE + "FieldMask": re.compile(r"(?:[^,]+(?:,[^,]+)*)?"),
    _PACKAGE + "Timestamp": re.compile(  # RFC 3339, 5.6, as protobuf writes it
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
        r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
    ),
}
"""What protobuf's own parser is laxer with than the JSON mapping."""
_UNREADABLE = (
    json_format.ParseError,
    AttributeError,
    EncodeError,  # an Any whose message lacks a required field
    OverflowError,
    TypeError,
    ValueError,
)
DYNAMIC = frozenset(_PACKAGE + name for name in ("Any", "ListValue", "Struct", "Value"))
"""Messages whose JSON is of any shape."""


def merge(message: Message, value: Json, path: str = "", *, text_floats: bool = True) -> None:
    """Set the fields of `message` from a JSON object; null leaves a field alone."""
    if not isinstance(value, dict):
        raise InvalidRequestError("must be an object", field=path)
    fields = _fields(type_of(message))
    spelled: dict[str, str] = {}
    for key, member in value.items():
        here = join(path, key)
        field = fields.get(key)
        if field is None:
            raise InvalidRequestError("is no field of this request", field=here)
        # Two members of a oneof contradict each other as two spellings of a field do.
        oneof = field.containing_oneof
        slot = f"oneof {oneof.name}" if oneof is not None else field.name
        if field.name in spelled or (member is not None and slot in spelled):
            other = spelled.get(field.name) or spelled[slot]
            raise InvalidRequestError(f"is given twice, as {other} too", field=here)
        spelled[field.name] = here
        if member is not None:
            spelled[slot] = here
        set_field(message, field, member, here, text_floats=text_floats)


def find_field(message: Descriptor, name: str) -> FieldDescriptor | None:
    """Return the field that is called `name` in JSON, or else in the proto file."""
    return _fields(message).get(name)


@lru_cache(maxsize=1024)
def _fields(message: Descriptor) -> dict[str, FieldDescriptor]:
    """Return the fields by all their names, of which those in JSON go first."""
    by_json_name = {field.json_name: field for field in reversed(message.fields)}
    return dict(message.fields_by_name) | by_json_name


def type_of(message: Message) -> Descriptor:
    """Return the descriptor of `message` under the one name that its stubs have for it."""
    return cast("Descriptor", message.DESCRIPTOR)


def set_field(
    message: Message, field: FieldDescriptor, value: Json, path: str, *, text_floats: bool = True
) -> None:
    """Set one field from a JSON value; null leaves it alone, except where null is a value."""
    kind = field.message_type
    if value is None and (field.is_repeated or not _takes_null(field)):
        return
    if kind is not None and kind.GetOptions().map_entry:
        _set_map(getattr(message, field.name), kind, value, path, text_floats=text_floats)
    elif field.is_repeated:
        _set_list(message, field, value, path, text_floats=text_floats)
    elif kind is not None:
        member = getattr(message, field.name)
        member.SetInParent()
        set_message(member, value, path, text_floats=text_floats)
    else:
        setattr(message, field.name, scalars.from_json(field, value, path, text_floats=text_floats))


def set_message(message: Message, value: Json, path: str, *, text_floats: bool = True) -> None:
    """Fill `message`, of any type, from the JSON that stands for it."""
    name = message.DESCRIPTOR.full_name
    if name in WRAPPERS:
        field = type_of(message).fields_by_name["value"]
        setattr(message, field.name, scalars.from_json(field, value, path, text_floats=text_floats))
    elif name in TEXTS:
        form = _FORMS.get(name)
        if not isinstance(value, str) or (form is not None and not form.fullmatch(value)):
            raise InvalidRequestError(TEXTS[name], field=path)
        _convert(message, value, TEXTS[name], path)
    elif name in DYNAMIC:
        _convert(message, value, "cannot be read", path)
    else:
        merge(message, value, path, text_floats=text_floats)


def _convert(message: Message, value: Json, description: str, path: str) -> None:
    try:
        pool = type_of(message).file.pool
        json_format.ParseDict(value, message, descriptor_pool=pool)  # type: ignore[arg-type]
    except _UNREADABLE:
        raise InvalidRequestError(description, field=path) from None


def _takes_null(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name == _PACKAGE + "Value"


def _set_list(
    message: Message, field: FieldDescriptor, value: Json, path: str, *, text_floats: bool
) -> None:
    if not isinstance(value, list):
        raise InvalidRequestError("must be a list", field=path)
    items = getattr(message, field.name)
    for index, item in enumerate(value):
        here = join(path, index)
        if item is None and not _takes_null(field):
            raise InvalidRequestError("must not be null", field=here)
        if field.message_type is not None:
            set_message(items.add(), item, here, text_floats=text_floats)
        else:
            items.append(scalars.from_json(field, item, here, text_floats=text_floats))


def _set_map(items: Any, entry: Descriptor, value: Json, path: str, *, text_floats: bool) -> None:
    if not isinstance(value, dict):
        raise InvalidRequestError("must be an object", field=path)
    key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for text, item in value.items():
        here = join(path, text)
        key = scalars.from_text(key_field, text, here)
        if key in items:
            raise InvalidRequestError("is given twice", field=here)
        if item is None and not _takes_null(value_field):
            raise InvalidRequestError("must not be null", field=here)
        if value_field.message_type is not None:
            set_message(items[key], item, here, text_floats=text_floats)
        else:
            items[key] = scalars.from_json(value_field, item, here, text_floats=text_floats)
