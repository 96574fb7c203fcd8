"""Fill a message from query parameters, `?sub.field=A&list=1&list=2`."""

import re
from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from gateway.transcoding import messages, scalars
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.escapes import decode
from gateway.transcoding.fields import FieldPath, Leaf, find_leaf

_CREDENTIAL = re.compile(r"token|key|auth|jwt|bearer|secret|passw|credential|dpop", re.IGNORECASE)
_FIELD_MASK = "google.protobuf.FieldMask"
_CAPITAL = re.compile(r"[A-Z]")
_NONE: Mapping[FieldPath, FieldPath] = MappingProxyType({})


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield the decoded names and values of a raw query string, in which + is a space.

    Raises InvalidRequestError for broken escapes and for what is not UTF-8.
    """
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            yield decode(name), decode(value)


def merge(
    message: Message,
    query: str,
    taken: Container[FieldPath] = (),
    chosen: Mapping[FieldPath, FieldPath] = _NONE,
) -> None:
    """Set fields of `message` from a raw query string.

    `taken` are the fields that the path or the body provides: neither they nor
    what is inside them can be parameters. `chosen` are oneofs with the members
    that path or body decide for; no parameter can decide for another.

    Raises InvalidRequestError, which names the parameter, where it is no field
    that can be one, is given twice, or does not hold what the field needs.
    """
    given: dict[FieldPath, str] = {}
    members = dict(chosen)
    for name, value in parameters(query):
        leaf = find_leaf(messages.type_of(message), name)
        if leaf is None or any(leaf.path[: n + 1] in taken for n in range(len(leaf.path))):
            raise unknown(name)
        if leaf.path in given and not leaf.fields[-1].is_repeated:
            raise InvalidRequestError(f"is given twice, as {given[leaf.path]} too", field=name)
        given[leaf.path] = name
        for oneof, member in leaf.choices:
            other = members.setdefault(oneof, member)
            if other != member:
                raise InvalidRequestError(
                    f"is given twice, as {'.'.join(other)} too: they are alternatives", field=name
                )
        set_leaf(message, leaf, value, name)


def set_leaf(message: Message, leaf: Leaf, text: str, name: str) -> None:
    """Set a field inside of `message` from text, or add to it if it is repeated.

    Raises InvalidRequestError, which names `name`.
    """
    *parents, field = leaf.fields
    for parent in parents:
        message = getattr(message, parent.name)
    kind = field.message_type
    if kind is not None:
        items = getattr(message, field.name)
        _set_text(items.add() if field.is_repeated else items, text, name)
    elif field.is_repeated:
        getattr(message, field.name).append(scalars.from_text(field, text, name))
    else:
        setattr(message, field.name, scalars.from_text(field, text, name))


def _set_text(message: Message, text: str, name: str) -> None:
    message.SetInParent()
    kind = messages.type_of(message)
    if kind.full_name in messages.WRAPPERS:
        inner = kind.fields_by_name["value"]
        setattr(message, inner.name, scalars.from_text(inner, text, name))
    elif kind.full_name == _FIELD_MASK and "_" in text:
        _set_mask(message, text, name)
    else:
        messages.set_message(message, text, name)


def _set_mask(mask: Any, text: str, name: str) -> None:
    """Set a mask some of whose paths are spelled as in the proto file.

    In JSON they may not be, but people write `updateMask=display_name` in URLs,
    and grpc-gateway and Envoy take it.
    """
    for path in text.split(","):
        if not path:
            raise InvalidRequestError(messages.TEXTS[_FIELD_MASK], field=name)
        mask.paths.append(path if "_" in path else _CAPITAL.sub(_lowered, path))


def _lowered(capital: re.Match[str]) -> str:
    return "_" + capital[0].lower()


def unknown(name: str) -> InvalidRequestError:
    """Return how a parameter is refused that is none, and what to do instead of a secret one."""
    if not name:
        return InvalidRequestError("A parameter has no name.")
    if _CREDENTIAL.search(name):
        return InvalidRequestError(
            "is no parameter: URLs are logged by whoever passes them on. "
            "Send credentials in the Authorization or X-API-Key header",
            field=name,
        )
    return InvalidRequestError("is no parameter of this request", field=name)
