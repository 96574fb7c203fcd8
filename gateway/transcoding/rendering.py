"""Write a response message as JSON, as proto3's JSON mapping says."""

from typing import Any, cast

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.transcoding.errors import CallFailedError
from gateway.transcoding.messages import type_of
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json

_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_OWN_JSON = "google.protobuf."  # most types in it are not printed as objects of their fields


def render(binding: Binding, message: Message) -> Json:
    """Return the JSON of a response, or of the field of it that the rule names.

    Fields without presence are always there, so that clients find the 0 or the
    empty list that they ask for.

    Raises CallFailedError, INTERNAL, for a response that has no JSON: one with an
    Any whose type is not known here, or with a time out of range.
    """
    try:
        tree = to_json(message)
    except (json_format.Error, TypeError, ValueError) as error:
        raise CallFailedError(
            grpc.StatusCode.INTERNAL, "The response cannot be written as JSON."
        ) from error
    if binding.response_body is None:
        return tree
    return cast("dict[str, Json]", tree).get(binding.response_body.json_name)


def to_json(message: Message) -> Json:
    """Return the JSON of any message.

    Whole milliseconds have three digits in a Timestamp, whole seconds too: it
    is what JavaScript's `toISOString` writes and proto3's mapping allows.
    """
    if message.DESCRIPTOR.full_name == _TIMESTAMP:
        return _with_milliseconds(cast("Timestamp", message).ToJsonString())
    tree = json_format.MessageToDict(
        message,
        always_print_fields_with_no_presence=True,
        descriptor_pool=type_of(message).file.pool,
    )
    if not message.DESCRIPTOR.full_name.startswith(_OWN_JSON):
        _rewrite_timestamps(message, tree)
    return cast("Json", tree)


def _rewrite_timestamps(message: Message, tree: dict[str, Any]) -> None:
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None:
            continue
        name = f"[{field.full_name}]" if field.is_extension else field.json_name
        if kind.GetOptions().map_entry:
            if kind.fields_by_name["value"].message_type is not None:
                printed = tree[name]
                for key, item in value.items():
                    text = str(key).lower() if isinstance(key, bool) else str(key)
                    printed[text] = _rewritten(item, printed[text])
        elif field.is_repeated:
            tree[name] = [
                _rewritten(item, printed) for item, printed in zip(value, tree[name], strict=True)
            ]
        else:
            tree[name] = _rewritten(value, tree[name])


def _rewritten(message: Message, printed: Any) -> Any:
    name = message.DESCRIPTOR.full_name
    if name == _TIMESTAMP:
        return _with_milliseconds(printed)
    if not name.startswith(_OWN_JSON):
        _rewrite_timestamps(message, printed)
    return printed


def _with_milliseconds(timestamp: str) -> str:
    return timestamp if "." in timestamp else timestamp.replace("Z", ".000Z")
