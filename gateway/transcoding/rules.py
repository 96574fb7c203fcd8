"""Read the `google.api.http` rules of services from their descriptors."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from google.api import annotations_pb2, http_pb2, httpbody_pb2
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
from gateway.transcoding.fields import FieldPath, Leaf, is_text

ANY_METHOD = "*"
"""The `kind` of a custom pattern that leaves the HTTP method open."""
WHOLE = "*"
"""The `body` of a rule that maps all fields to the body."""

_HTTP_BODY = httpbody_pb2.HttpBody.DESCRIPTOR.full_name
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 9.1


@dataclass(frozen=True)
class Binding:
    """One way to reach an RPC over HTTP: a checked rule, its references resolved.

    `body` is WHOLE, a field of the request, or None for no body.
    `response_body` is a field of the response, or None for all of it.
    `variables` has the field of each of the template's variables.
    """

    rpc: MethodDescriptor
    http_method: str
    template: template.Template
    body: FieldDescriptor | str | None
    response_body: FieldDescriptor | None
    request_class: type[Message]
    response_class: type[Message]
    variables: Mapping[str, Leaf]

    @cached_property
    def rpc_path(self) -> str:
        """The path of the RPC in gRPC, `/package.Service/Method`."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    @property
    def streams(self) -> bool:
        """Whether the RPC answers with a stream of messages."""
        return bool(self.rpc.server_streaming)

    @cached_property
    def raw_body(self) -> bool:
        """Whether the body is bytes of any type, for a google.api.HttpBody."""
        if isinstance(self.body, FieldDescriptor):
            return _is_http_body(self.body)
        return self.body == WHOLE and self.rpc.input_type.full_name == _HTTP_BODY

    @cached_property
    def raw_response(self) -> bool:
        """Whether the answer is the bytes of a google.api.HttpBody."""
        if self.response_body is not None:
            return _is_http_body(self.response_body)
        return bool(self.rpc.output_type.full_name == _HTTP_BODY)

    @cached_property
    def given(self) -> tuple[Leaf, ...]:
        """The fields that path or body give, so that no parameter can."""
        body = (Leaf((self.body,)),) if isinstance(self.body, FieldDescriptor) else ()
        return (*self.variables.values(), *body)

    @cached_property
    def taken(self) -> frozenset[FieldPath]:
        """The paths of what is given."""
        return frozenset(leaf.path for leaf in self.given)

    @cached_property
    def chosen(self) -> Mapping[FieldPath, FieldPath]:
        """The members that what is given decides oneofs for."""
        return {oneof: member for leaf in self.given for oneof, member in leaf.choices}

    def __str__(self) -> str:
        """Name the RPC and its rule, for error messages."""
        return f"{self.rpc.full_name} ({self.http_method} {self.template.text})"


def bindings(service: ServiceDescriptor, *, auto_mapping: bool = False) -> Iterator[Binding]:
    """Yield a binding for each rule of each method.

    Methods without rules have none or, with `auto_mapping`, are served as
    `POST /package.Service/Method` with the whole message as their body, unless
    they take a stream.

    Raises RuleError, which names the method, for a rule that cannot be served.
    """
    for rpc in service.methods:
        for rule in _rules(rpc, auto_mapping=auto_mapping):
            try:
                yield _binding(rpc, rule)
            except RuleError as error:
                raise RuleError(f"{rpc.full_name}: {error}") from error


def _rules(rpc: MethodDescriptor, *, auto_mapping: bool) -> Iterator[http_pb2.HttpRule]:
    # Parsed again because descriptors of another pool keep the option as an unknown field.
    options = descriptor_pb2.MethodOptions.FromString(rpc.GetOptions().SerializeToString())
    if options.HasExtension(annotations_pb2.http):
        rule = options.Extensions[annotations_pb2.http]
        yield rule
        for each in rule.additional_bindings:
            if each.additional_bindings:
                raise RuleError(f"{rpc.full_name}: additional_bindings are nested")
            yield each
    elif auto_mapping and not rpc.client_streaming:
        path = f"/{rpc.containing_service.full_name}/{rpc.name}"
        yield http_pb2.HttpRule(post=path, body=WHOLE)


def _binding(rpc: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    if rpc.client_streaming:
        raise RuleError("a method that takes a stream cannot be served over HTTP")
    if rule.selector not in {"", rpc.full_name}:
        raise RuleError(f"the selector {rule.selector!r} is of another method")
    http_method, path = _pattern(rule)
    parsed = template.parse(path)
    if rule.body and http_method in {"GET", "HEAD"}:
        raise RuleError(f"{http_method} cannot have a body")
    body = WHOLE if rule.body == WHOLE else _top_level(rpc.input_type, rule.body)
    binding = Binding(
        rpc=rpc,
        http_method=http_method,
        template=parsed,
        body=body,
        response_body=_top_level(rpc.output_type, rule.response_body.removeprefix(WHOLE)),
        request_class=message_factory.GetMessageClass(rpc.input_type),
        response_class=message_factory.GetMessageClass(rpc.output_type),
        variables={
            one.field_path: _variable(rpc.input_type, one.field_path) for one in parsed.variables
        },
    )
    _check_contradictions(binding)
    return binding


def _check_contradictions(binding: Binding) -> None:
    """Raise RuleError where two parts of a request would give the same field or oneof."""
    taken: set[FieldPath] = set()
    chosen: dict[FieldPath, FieldPath] = {}
    for leaf in binding.given:
        if leaf.path in taken:
            raise RuleError(f"{'.'.join(leaf.path)} is in the path, and is the body")
        taken.add(leaf.path)
        for oneof, member in leaf.choices:
            other = chosen.setdefault(oneof, member)
            if other != member:
                both = f"{'.'.join(other)} and {'.'.join(member)}"
                raise RuleError(f"{both} exclude each other: they are of one oneof")


def _pattern(rule: http_pb2.HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise RuleError("the rule has no pattern")
    if kind != "custom":
        return kind.upper(), getattr(rule, kind)
    if not _METHOD.fullmatch(rule.custom.kind):
        raise RuleError(f"the custom pattern's kind {rule.custom.kind!r} is no HTTP method")
    return rule.custom.kind, rule.custom.path


def _variable(message: Descriptor, field_path: str) -> Leaf:
    *parents, leaf = field_path.split(".")
    fields = []
    for name in parents:
        field = message.fields_by_name.get(name)
        if field is None or field.message_type is None or field.is_repeated:
            raise RuleError(f"{field_path}: {name} is no single message of {message.full_name}")
        fields.append(field)
        message = field.message_type
    field = message.fields_by_name.get(leaf)
    if field is None or field.is_repeated or not is_text(field):
        raise RuleError(f"{field_path}: {leaf} is no single primitive of {message.full_name}")
    return Leaf((*fields, field))


def _top_level(message: Descriptor, name: str) -> FieldDescriptor | None:
    if not name:
        return None
    field = message.fields_by_name.get(name)
    if field is None:
        raise RuleError(f"{message.full_name} has no field {name!r}")
    return field


def _is_http_body(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name == _HTTP_BODY and not field.is_repeated
