"""What a status says beside its code: google.rpc details, read and as JSON."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from gateway.transcoding.strict_json import Json
from serving.errors import DOMAIN

_M = TypeVar("_M", bound=Message)

_TYPE = "type.googleapis.com/"
_STACK_TRACES = error_details_pb2.DebugInfo.DESCRIPTOR.full_name


@dataclass(frozen=True)
class Details:
    """The details of a status that may leave: `messages` are those of a known type.

    What may not are stack traces, ErrorInfos of other domains, which are what
    somebody upstream told us, and what is not of the type that it says. A type
    that is not known here is one of a newer server of ours, and is passed on.
    """

    messages: tuple[Message, ...] = ()
    rendered: tuple[Json, ...] = ()

    @classmethod
    def of(cls, status: status_pb2.Status | None) -> "Details":
        """Return the details of a status; of none, none."""
        pairs = list(_public(status)) if status else []
        return cls(
            tuple(message for message, _ in pairs if message is not None),
            tuple(rendered for _, rendered in pairs),
        )

    def first(self, kind: type[_M]) -> _M | None:
        """Return the first detail of a type, None if there is none."""
        return next((each for each in self.messages if isinstance(each, kind)), None)


def render(detail: Message) -> Json:
    """Return a detail as the JSON of the Any that would hold it."""
    packed = any_pb2.Any()
    packed.Pack(detail)
    return _rendered(packed)


def _public(status: status_pb2.Status) -> Iterator[tuple[Message | None, Json]]:
    for packed in status.details:
        if packed.TypeName() == _STACK_TRACES:
            continue
        try:
            message = _unpacked(packed)
        except DecodeError:
            continue
        if isinstance(message, error_details_pb2.ErrorInfo) and message.domain != DOMAIN:
            continue
        yield message, _rendered(packed) if message is not None else _opaque(packed)


def _unpacked(packed: any_pb2.Any) -> Message | None:
    """Return what is in `packed`, None if its type is not known here."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return None
    return message_factory.GetMessageClass(descriptor).FromString(packed.value)


def _rendered(packed: any_pb2.Any) -> Json:
    try:
        return cast("Json", json_format.MessageToDict(packed))
    except (json_format.Error, TypeError, ValueError):  # what is in it has no JSON, or is unknown
        return _opaque(packed)


def _opaque(packed: any_pb2.Any) -> Json:
    return {
        "@type": _TYPE + packed.TypeName(),
        "value": base64.b64encode(packed.value).decode("ascii"),
    }
