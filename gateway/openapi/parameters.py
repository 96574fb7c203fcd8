"""What of a request message is in the URL: variables of the path, and query parameters."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.openapi import proto_json
from gateway.openapi.schemas import Schemas
from gateway.transcoding.fields import is_text
from gateway.transcoding.rules import WHOLE, Binding
from gateway.transcoding.strict_json import Json
from gateway.transcoding.template import ANY, REST, Variable

_VARIABLE = re.compile(r"\{([^{}=]*)(?:=[^{}]*)?\}")


def path(binding: Binding) -> str:
    """Return the path as OpenAPI writes it: a variable says its name, and no pattern."""
    return _VARIABLE.sub(r"{\1}", binding.template.text)


def of(binding: Binding, schemas: Schemas, hidden: frozenset[str]) -> Iterator[Json]:
    """Yield the parameters of an operation; fields that are `hidden`, by full name, are none."""
    for variable in binding.template.variables:
        yield _of_path(binding, variable, schemas)
    if binding.body == WHOLE:
        return
    for fields in _leaves(binding.rpc.input_type, ()):
        names = tuple(field.name for field in fields)
        given = any(names[:length] in binding.taken for length in range(1, len(names) + 1))
        if not given and fields[-1].full_name not in hidden:
            yield _of_query(fields, schemas)


def _of_path(binding: Binding, variable: Variable, schemas: Schemas) -> Json:
    field = binding.variables[variable.field_path].fields[-1]
    segments = binding.template.segments[variable.start : variable.end]
    schema = proto_json.text(field)
    if segments != (ANY,):
        pattern = "/".join({ANY: "[^/]+", REST: ".*"}.get(s, re.escape(s)) for s in segments)
        schema |= {"pattern": f"^{pattern}$"}
    return {
        "name": variable.field_path,
        "in": "path",
        "required": True,
        **schemas.description(field),
        "schema": schema,
    }


def _of_query(fields: tuple[FieldDescriptor, ...], schemas: Schemas) -> Json:
    field = fields[-1]
    schema = proto_json.text(field)
    if field.is_repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": ".".join(each.json_name for each in fields),
        "in": "query",
        **schemas.description(field),
        "schema": schema | schemas.keywords(field),
    }


def _leaves(
    message: Descriptor, above: tuple[FieldDescriptor, ...]
) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Yield the fields along the way to each that can be a parameter, no message in itself."""
    for field in message.fields:
        kind = field.message_type
        if kind is None or is_text(field):
            yield (*above, field)
        elif not field.is_repeated and not _is_within(kind, message, above):
            yield from _leaves(kind, (*above, field))


def _is_within(kind: Descriptor, message: Descriptor, above: tuple[FieldDescriptor, ...]) -> bool:
    around = {message, *(field.containing_type for field in above)}
    return kind in around or kind.full_name.startswith("google.protobuf.")
