"""HTTP and JSON to gRPC, by the `google.api.http` rules of any service.

    from gateway.transcoding import app

    application = app(file_descriptor_set, channel)

serves any unary or server-streaming API as an ASGI application; see `app` for
what can be chosen. The pure pieces are each usable by themselves:

- `parse_template` reads a path template; `Template.match` matches a path, and
  `Template.expand` makes one.
- `make_router` makes a `Router` from service descriptors, which a generated
  module has, and `services` takes from a FileDescriptorSet; `Router.match`
  finds the `Binding` for a method and a path.
- `bind` makes a request message from the parts of an HTTP request.
- `render` makes JSON from a response message.

`Transcoder` puts them behind ASGI and a `Caller` before a channel. What answers
look like is an `Envelope`'s to say; which headers become metadata, a function's.
Errors are RuleError, before anything is served; RequestError and those under
it, for which no RPC is made; and CallFailedError.

The sources are google/api/http.proto and proto3's JSON mapping; where they are
silent, docs/transcoding.md says what holds.
"""

from gateway.transcoding.application import app
from gateway.transcoding.asgi import Envelope, Transcoder
from gateway.transcoding.binding import bind
from gateway.transcoding.calling import (
    Caller,
    CallOptions,
    ChannelCaller,
    Metadata,
    Reply,
    ReplyStream,
)
from gateway.transcoding.envelopes import HTTP_STATUS, StatusEnvelope
from gateway.transcoding.errors import (
    CallFailedError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotAcceptableError,
    PayloadTooLargeError,
    RequestError,
    RuleError,
    SlowBodyError,
    UnknownPathError,
    UnsupportedMediaTypeError,
)
from gateway.transcoding.rendering import render, to_json
from gateway.transcoding.router import Match, Router, make_router, services
from gateway.transcoding.rules import Binding, bindings
from gateway.transcoding.template import Template, parse as parse_template

__all__ = [
    "HTTP_STATUS",
    "Binding",
    "CallFailedError",
    "CallOptions",
    "Caller",
    "ChannelCaller",
    "Envelope",
    "InvalidRequestError",
    "Match",
    "Metadata",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "PayloadTooLargeError",
    "Reply",
    "ReplyStream",
    "RequestError",
    "Router",
    "RuleError",
    "SlowBodyError",
    "StatusEnvelope",
    "Template",
    "Transcoder",
    "UnknownPathError",
    "UnsupportedMediaTypeError",
    "app",
    "bind",
    "bindings",
    "make_router",
    "parse_template",
    "render",
    "services",
    "to_json",
]
