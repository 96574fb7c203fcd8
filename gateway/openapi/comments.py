"""The comments in proto files, by what they are about."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

_WRAPPED = re.compile(r"(?<!\n)\n(?![\n \-*])")
"""The end of a line that is not the end of a paragraph, and not before a list's item."""


class Comments:
    """The comments before packages' elements, by full name, as Markdown.

    `image` must have source info (`protoc --include_source_info`); what has none
    has no comments.
    """

    def __init__(self, image: descriptor_pb2.FileDescriptorSet) -> None:
        self._by_name = {name: text for file in image.file for name, text in _of_file(file)}

    def of(self, full_name: str) -> str:
        """Return the comment before an element, "" if there is none."""
        return self._by_name.get(full_name, "")


def first_sentence(text: str) -> str:
    """Return the first sentence of a comment, without its full stop."""
    return re.split(r"\.(?:\s|$)", text, maxsplit=1)[0]


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        names = _names(file, location.path)
        if location.leading_comments and names:
            yield ".".join([file.package, *names]), _markdown(location.leading_comments)


def _names(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> list[str]:
    """Return the names along a path of field numbers and indices; none if it is no element's."""
    if len(path) % 2:
        return []
    names = []
    node: Message = file
    for number, index in zip(path[::2], path[1::2], strict=True):
        field = node.DESCRIPTOR.fields_by_number.get(number)
        if field is None or field.message_type is None or not field.is_repeated:
            return []
        node = getattr(node, field.name)[index]
        names.append(getattr(node, "name", ""))
    return names if all(isinstance(name, str) and name for name in names) else []


def _markdown(comment: str) -> str:
    lines = [line.removeprefix(" ").rstrip() for line in comment.strip("\n").split("\n")]
    return _WRAPPED.sub(" ", "\n".join(lines)).strip()
