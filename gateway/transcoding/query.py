"""Fill a message from query parameters, `?sub.field=A&list=1&list=2`."""

import re
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoding import messages, scalars
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.escapes import decode
from gateway.transcoding.strict_json import MAX_DEPTH

_CREDENTIAL = re.compile(r"token|key|auth|jwt|bearer|secret|passw|credential|dpop", re.IGNORECASE)

FieldPath = tuple[str, ...]
"""Names of fields as in the proto file, from the outermost in."""


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield the decoded names and values of a raw query string, in which + is a space.

    Raises InvalidRequestError for broken escapes and for what is not UTF-8.
    """
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            yield decode(name), decode(value)


def merge(message: Message, query: str, taken: Iterable[FieldPath] = ()) -> None:
    """Set fields of `message` from a raw query string.

    `taken` are the fields that the path or the body provides: neither they nor
    what is inside them can be parameters.

    Raises InvalidRequestError, which names the parameter, where it is no field
    that can be one, is given twice, or does not hold what the field needs.
    """
    reserved = frozenset(taken)
    seen: dict[FieldPath, str] = {}
    for name, value in parameters(query):
        fields = _resolve(messages.type_of(message), name)
        path = tuple(field.name for field in fields)
        if any(path[:length] in reserved for length in range(1, len(path) + 1)):
            raise unknown(name)
        *parents, leaf = fields
        parent = message
        for field in parents:
            parent = getattr(parent, field.name)
        if not leaf.is_repeated:
            slot = (
                path
                if leaf.containing_oneof is None
                else (*path[:-1], leaf.containing_oneof.name, "")
            )
            if slot in seen:
                raise InvalidRequestError(f"is given twice, as {seen[slot]} too", field=name)
            seen[slot] = name
        set_from_text(parent, leaf, value, name)


def set_from_text(message: Message, field: FieldDescriptor, text: str, name: str) -> None:
    """Set a field of a primitive or text-like type, or add to it if it is repeated.

    Raises InvalidRequestError, which names `name`.
    """
    kind = field.message_type
    if kind is None:
        value = scalars.from_text(field, text, name)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
        return
    member = getattr(message, field.name)
    member.SetInParent()
    if kind.full_name in messages.WRAPPERS:
        inner = kind.fields_by_name["value"]
        setattr(member, inner.name, scalars.from_text(inner, text, name))
    else:
        messages.set_message(member, text, name)


def _resolve(message: Descriptor, name: str) -> list[FieldDescriptor]:
    """Return the fields along a dotted name, the last of which can be a parameter."""
    fields: list[FieldDescriptor] = []
    kind: Descriptor | None = message
    for part in name.split(".", MAX_DEPTH):
        field = messages.find_field(kind, part) if kind is not None else None
        if field is None:
            raise unknown(name)
        fields.append(field)
        kind = None if field.is_repeated or _is_leaf(field.message_type) else field.message_type
    leaf = fields[-1]
    if leaf.message_type is not None and (leaf.is_repeated or not _is_leaf(leaf.message_type)):
        raise unknown(name)
    return fields


def _is_leaf(kind: Descriptor | None) -> bool:
    return kind is not None and (
        kind.full_name in messages.WRAPPERS or kind.full_name in messages.TEXTS
    )


def unknown(name: str) -> InvalidRequestError:
    """Return how a parameter is refused that is none, and what to do instead of a secret one."""
    if _CREDENTIAL.search(name):
        return InvalidRequestError(
            "is no parameter: URLs are logged by whoever passes them on. "
            "Send credentials in the Authorization or X-API-Key header",
            field=name,
        )
    return InvalidRequestError("is no parameter of this request", field=name)
