"""Make the request message of an RPC from the parts of an HTTP request."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoding import messages, query, strict_json
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.router import Match
from gateway.transcoding.rules import WHOLE, Binding


def bind(
    match: Match,
    *,
    query_string: str = "",
    body: bytes = b"",
    content_type: str = "",
    text_floats: bool = True,
) -> Message:
    """Return the request message for a matched request.

    `query_string` is raw, without its question mark; an empty `body` is an
    absent one; `content_type` is that of a body which becomes an HttpBody.
    Where `text_floats` is false, floats in a body must not be strings.
    Where the body gives a field that the path gives too, the path's value
    holds, as in grpc-gateway: who may do what, and logs, go by the path.

    Raises InvalidRequestError, naming the field as the caller spelled it where
    one is to blame.
    """
    binding = match.binding
    message = binding.request_class()
    if binding.raw_body and (body or content_type):
        _set_raw_body(message, binding, body, content_type)
    elif body:
        _merge_body(message, binding, body, text_floats=text_floats)
    if query_string:
        _merge_query(message, binding, query_string)
    for field_path, text in match.captures.items():
        query.set_leaf(message, binding.variables[field_path], text, field_path)
    if not message.IsInitialized():  # proto2's required fields
        raise InvalidRequestError("The request lacks a required field.")
    return message


def _merge_body(message: Message, binding: Binding, body: bytes, *, text_floats: bool) -> None:
    if binding.body is None:
        raise InvalidRequestError("This request takes no body.")
    value = strict_json.loads(body)
    if isinstance(binding.body, FieldDescriptor):
        messages.set_field(message, binding.body, value, "", text_floats=text_floats)
    else:
        messages.set_message(message, value, "", text_floats=text_floats)


def _set_raw_body(message: Message, binding: Binding, body: bytes, content_type: str) -> None:
    field = binding.body
    # An HttpBody, but maybe of another pool than the generated class.
    raw: Any = getattr(message, field.name) if isinstance(field, FieldDescriptor) else message
    raw.content_type = content_type
    raw.data = body


def _merge_query(message: Message, binding: Binding, query_string: str) -> None:
    if binding.body == WHOLE:
        name, _ = next(query.parameters(query_string), ("", ""))
        if name:
            raise query.unknown(name)
        return
    query.merge(message, query_string, binding.taken, binding.chosen)
