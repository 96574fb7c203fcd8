"""The schemas of messages say what `gateway.transcoding` writes and reads, no more and no less."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from jsonschema import Draft202012Validator, FormatChecker

from gateway.openapi.api import Api
from gateway.openapi.comments import Comments
from gateway.openapi.schemas import Schemas
from gateway.transcoding import messages
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.rendering import to_json

New = Callable[[str], Any]

VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 1.0, 1.5, 1e300, 2**31, 2**32, 2**63, 2**64),
    *("", "1", "-1", "1.5", "abc", "RED", "PURPLE", "1.5s", "2026-01-01T00:00:00Z", "NaN"),
    *([], [None], [1], ["abc"], [{}]),
    *({}, {"abc": "abc"}, {"1": {}}, {"true": "abc"}, {"name": "abc"}, {"nothing": 1}),
)
UNSAID = {
    ("data", "1"): "which strings are base64 is for who decodes them",
    ("data", "1.5"): "likewise",
    ("data", "1.5s"): "likewise",
    ("data", "2026-01-01T00:00:00Z"): "likewise",
    ("color", "1.0"): "to JSON Schema it is the integer 1, as it is to the integers",
}
"""Where the schema allows what is refused in the end, and why it does."""
FORMATS = FormatChecker([])


@FORMATS.checks("date-time")
def is_date_time(value: object) -> bool:
    """Return whether it is a time as the tests have it."""
    return (
        not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value) is not None
    )


@pytest.fixture(scope="session")
def validator(library: ServiceDescriptor) -> Callable[..., Draft202012Validator]:
    """Return what makes a validator of a message that is read or written."""
    schemas = Schemas(Api({}), Comments(descriptor_pb2.FileDescriptorSet()))

    def make(name: str, *, read: bool) -> Draft202012Validator:
        schema = schemas.message(library.file.message_types_by_name[name], read=read)
        whole = {**schema, "components": {"schemas": schemas.components}}
        return Draft202012Validator(whole, format_checker=FORMATS)

    return make


def test_what_is_read_is_what_the_schema_allows(validator: Any, new: New) -> None:
    """Each kind of field, with each kind of value."""
    check = validator("Everything", read=True)
    differing = {}
    for field in new("Everything").DESCRIPTOR.fields:
        for value in VALUES:
            tree = {field.json_name: value}
            allowed = check.is_valid(tree)
            if allowed != _is_read(new("Everything"), tree):
                differing[field.json_name, str(value)] = allowed
    assert differing == dict.fromkeys(UNSAID, True)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_written_is_as_the_schema_says(validator: Any, new: New, value: Any) -> None:
    """Of a message in which each field has the value, if it can; and it can be read again."""
    message = new("Everything")
    for field in message.DESCRIPTOR.fields:
        candidate = new("Everything")
        if _is_read(candidate, {field.json_name: value}):
            message.MergeFrom(candidate)
    for read in (False, True):
        check = validator("Everything", read=read)
        assert [error.message for error in check.iter_errors(to_json(message))] == []


def _is_read(message: Message, tree: Any) -> bool:
    try:
        messages.merge(message, tree)
    except InvalidRequestError:
        return False
    return True
