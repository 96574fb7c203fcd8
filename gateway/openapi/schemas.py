"""The schemas of messages, as components of the document."""

import re
from typing import TYPE_CHECKING, cast

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.openapi import proto_json
from gateway.openapi.api import Api
from gateway.openapi.comments import Comments
from gateway.openapi.proto_json import Schema

if TYPE_CHECKING:
    from gateway.transcoding.strict_json import Json

_FIELD_NAME = re.compile(r"`([a-z0-9_]+)`")


class Schemas:
    """Makes a component of each message that it is asked for, and of those in it.

    A message that is read and written has two: what is read may be more, has no
    other fields, and null for any that is not given.
    """

    def __init__(self, api: Api, comments: Comments) -> None:
        self.components: dict[str, Json] = dict(api.schemas)
        self._api = api
        self._comments = comments
        self._names: dict[tuple[str, bool], str] = {}
        self._in_headers = {header.field for header in api.request_headers}

    def message(self, message: Descriptor, *, read: bool) -> Schema:
        """Return the schema of a message, a reference unless it has JSON of its own."""
        own = proto_json.well_known(message, read=read, text_floats=self._api.text_floats)
        if own is not None:
            return own
        key = (message.full_name, read)
        if key not in self._names:
            name = self._names[key] = self._new_name(message, read=read)
            self.components[name] = {}  # taken, for those that have themselves for a field
            self.components[name] = self._object(message, read=read)
        return {"$ref": f"#/components/schemas/{self._names[key]}"}

    def value(self, field: FieldDescriptor, *, read: bool) -> Schema:
        """Return the schema of all that a field holds, with what is said of it."""
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            values = self._one(kind.fields_by_name["value"], read=read)
            names = proto_json.keys(kind.fields_by_name["key"])
            schema: Schema = {"type": "object", **names, "additionalProperties": values}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._one(field, read=read)}
        else:
            schema = self._one(field, read=read)
        return schema | self.keywords(field)

    def keywords(self, field: FieldDescriptor) -> Schema:
        """Return what is known of a field's values beside their type."""
        return dict(self._api.fields.get(field.full_name, {}))

    def description(self, field: FieldDescriptor) -> Schema:
        """Return the keywords that tell people of a field."""
        text = self._comments.of(field.full_name)
        siblings = cast("Descriptor", field.containing_type).fields_by_name

        def as_in_json(found: re.Match[str]) -> str:
            other = siblings.get(found[1])
            return f"`{other.json_name}`" if other is not None else found[0]

        said: Schema = {"description": _FIELD_NAME.sub(as_in_json, text)} if text else {}
        return said | ({"deprecated": True} if field.GetOptions().deprecated else {})

    def _one(self, field: FieldDescriptor, *, read: bool) -> Schema:
        if field.message_type is not None:
            return self.message(field.message_type, read=read)
        return proto_json.scalar(field, read=read, text_floats=self._api.text_floats)

    def _object(self, message: Descriptor, *, read: bool) -> Schema:
        fields = [
            field for field in message.fields if not read or field.full_name not in self._in_headers
        ]
        properties: Schema = {}
        for field in fields:
            value = self.value(field, read=read)
            shown = proto_json.nullable(value) if read else value
            properties[field.json_name] = self.description(field) | shown
        is_required = _must_be_given if read else self._is_always_there
        required: list[Json] = [field.json_name for field in fields if is_required(field)]
        text = self._comments.of(message.full_name)
        return {
            **({"description": text} if text else {}),
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if read else {}),
        }

    def _is_always_there(self, field: FieldDescriptor) -> bool:
        return not field.has_presence or field.full_name in self._api.always_there

    def _new_name(self, message: Descriptor, *, read: bool) -> str:
        name = message.full_name.removeprefix(message.file.package + ".")
        if read and (message.full_name, False) in self._names:
            name += "Input"
        if name in self.components:
            name = f"{message.file.package}.{name}"
        return name


def _must_be_given(field: FieldDescriptor) -> bool:
    # Parsed again because descriptors of another pool keep the option as an unknown field.
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    behaviours = options.Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours
