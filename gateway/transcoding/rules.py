"""Read the `google.api.http` rules of services from their descriptors."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message

from gateway.transcoding import template
from gateway.transcoding.errors import RuleError

ANY_METHOD = "*"
"""The `kind` of a custom pattern that leaves the HTTP method open."""
WHOLE = "*"
"""The `body` of a rule that maps all fields to the body."""


@dataclass(frozen=True)
class Binding:
    """One way to reach an RPC over HTTP: a checked rule, its references resolved.

    `body` is WHOLE, a field of the request, or None for no body.
    `response_body` is a field of the response, or None for all of it.
    """

    rpc: MethodDescriptor
    http_method: str
    template: template.Template
    body: FieldDescriptor | str | None
    response_body: FieldDescriptor | None
    request_class: type[Message]
    response_class: type[Message]

    @property
    def rpc_path(self) -> str:
        """The path of the RPC in gRPC, `/package.Service/Method`."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    def __str__(self) -> str:
        """Name the RPC and its rule, for error messages."""
        return f"{self.rpc.full_name} ({self.http_method} {self.template.text})"


def bindings(service: ServiceDescriptor) -> Iterator[Binding]:
    """Yield a binding for each rule of each method; methods without rules have none.

    Raises RuleError, which names the method, for a rule that cannot be served.
    """
    for rpc in service.methods:
        # Parsed again because descriptors of another pool keep the option as an
        # unknown field.
        options = descriptor_pb2.MethodOptions.FromString(rpc.GetOptions().SerializeToString())
        if not options.HasExtension(annotations_pb2.http):
            continue
        rule = options.Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            if each is not rule and each.additional_bindings:
                raise RuleError(f"{rpc.full_name}: additional_bindings are nested")
            try:
                yield _binding(rpc, each)
            except RuleError as error:
                raise RuleError(f"{rpc.full_name}: {error}") from error


def _binding(rpc: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    if rpc.client_streaming or rpc.server_streaming:
        raise RuleError("only unary methods are served over HTTP")
    http_method, path = _pattern(rule)
    parsed = template.parse(path)
    for variable in parsed.variables:
        _check_variable(rpc.input_type, variable.field_path)
    if rule.body and http_method in {"GET", "HEAD"}:
        raise RuleError(f"{http_method} cannot have a body")
    return Binding(
        rpc=rpc,
        http_method=http_method,
        template=parsed,
        body=WHOLE if rule.body == WHOLE else _top_level(rpc.input_type, rule.body),
        response_body=_top_level(rpc.output_type, rule.response_body),
        request_class=message_factory.GetMessageClass(rpc.input_type),
        response_class=message_factory.GetMessageClass(rpc.output_type),
    )


def _pattern(rule: http_pb2.HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise RuleError("the rule has no pattern")
    if kind != "custom":
        return kind.upper(), getattr(rule, kind)
    if not rule.custom.kind:
        raise RuleError("the custom pattern has no kind")
    return rule.custom.kind, rule.custom.path


def _check_variable(message: Descriptor, field_path: str) -> None:
    *parents, leaf = field_path.split(".")
    for name in parents:
        field = message.fields_by_name.get(name)
        if field is None or field.message_type is None or field.is_repeated:
            raise RuleError(f"{field_path}: {name} is no single message of {message.full_name}")
        message = field.message_type
    field = message.fields_by_name.get(leaf)
    if field is None or field.message_type is not None or field.is_repeated:
        raise RuleError(f"{field_path}: {leaf} is no single primitive of {message.full_name}")


def _top_level(message: Descriptor, name: str) -> FieldDescriptor | None:
    if not name:
        return None
    field = message.fields_by_name.get(name)
    if field is None:
        raise RuleError(f"{message.full_name} has no field {name!r}")
    return field
