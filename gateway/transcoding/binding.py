"""Make the request message of an RPC from the parts of an HTTP request."""

from google.protobuf.message import Message

from gateway.transcoding import messages, query, strict_json
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.router import Match
from gateway.transcoding.rules import WHOLE, Binding


def bind(match: Match, *, query_string: str = "", body: bytes = b"") -> Message:
    """Return the request message for a matched request.

    `query_string` is raw, without its question mark; an empty `body` is an
    absent one. Where the body gives a field that the path gives too, the path's
    value holds, as in grpc-gateway and Envoy.

    Raises InvalidRequestError, naming the field as the caller spelled it where
    one is to blame.
    """
    binding = match.binding
    message = binding.request_class()
    if body:
        _merge_body(message, binding, body)
    if query_string:
        _merge_query(message, match, query_string)
    for field_path, text in match.captures.items():
        *parents, leaf = field_path.split(".")
        parent = message
        for name in parents:
            parent = getattr(parent, name)
        field = messages.type_of(parent).fields_by_name[leaf]
        query.set_from_text(parent, field, text, field_path)
    if not message.IsInitialized():  # proto2's required fields
        raise InvalidRequestError("The request lacks a required field.")
    return message


def _merge_body(message: Message, binding: Binding, body: bytes) -> None:
    if binding.body is None:
        raise InvalidRequestError("This request takes no body.")
    value = strict_json.loads(body)
    if isinstance(binding.body, str):
        messages.merge(message, value)
    else:
        messages.set_field(message, binding.body, value, "")


def _merge_query(message: Message, match: Match, query_string: str) -> None:
    body = match.binding.body
    if body == WHOLE:
        name, _ = next(query.parameters(query_string), ("", ""))
        if name:
            raise query.unknown(name)
        return
    taken = [tuple(field_path.split(".")) for field_path in match.captures]
    if body is not None and not isinstance(body, str):
        taken.append((body.name,))
    query.merge(message, query_string, taken)
