"""Fields inside of fields, and which of them exclude each other."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.transcoding import messages
from gateway.transcoding.strict_json import MAX_DEPTH

FieldPath: TypeAlias = tuple[str, ...]
"""Names of fields as in the proto file, from the outermost in."""


@dataclass(frozen=True)
class Leaf:
    """The last of `fields`, each of which but it is a message that the next one is in."""

    fields: tuple[FieldDescriptor, ...]

    @cached_property
    def path(self) -> FieldPath:
        """The names of the fields."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def choices(self) -> tuple[tuple[FieldPath, FieldPath], ...]:
        """Each oneof that giving the field decides, and the member that it decides for."""
        return tuple(
            ((*self.path[: length - 1], field.containing_oneof.name), self.path[:length])
            for length, field in enumerate(self.fields, 1)
            if field.containing_oneof is not None
        )


def is_text(field: FieldDescriptor) -> bool:
    """Return whether a single value of the field can be written as text, without quotes."""
    kind = field.message_type
    return kind is None or kind.full_name in messages.WRAPPERS or kind.full_name in messages.TEXTS


def _is_closed(field: FieldDescriptor) -> bool:
    """Return whether a name cannot lead on into the field."""
    kind = field.message_type
    return kind is None or is_text(field) or kind.full_name in messages.DYNAMIC


def find_leaf(message: Descriptor, name: str) -> Leaf | None:
    """Return the field with a dotted name, as JSON or the proto file spell it; None if none."""
    try:
        return _find_leaf(message, name)
    except LookupError:
        return None


@lru_cache(maxsize=4096)  # names that are none end in an error, which takes no room here
def _find_leaf(message: Descriptor, name: str) -> Leaf:
    fields: list[FieldDescriptor] = []
    kind: Descriptor | None = message
    for part in name.split(".", MAX_DEPTH):
        field = messages.find_field(kind, part) if kind is not None else None
        if field is None:
            raise LookupError
        fields.append(field)
        kind = None if field.is_repeated or _is_closed(field) else field.message_type
    if not is_text(fields[-1]):
        raise LookupError
    return Leaf(tuple(fields))
