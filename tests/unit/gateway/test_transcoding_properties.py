"""Random messages over random rules: what Google's client takes apart, the binding puts together.

google-api-core's `path_template.transcode` and `rest_helpers` are what Google's
own clients make HTTP requests with.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from feed_api import ask
from google.api import annotations_pb2
from google.api_core import path_template, rest_helpers
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings, strategies as st

from gateway import transcoding
from gateway.transcoding import messages

F = FieldDescriptor
Draw = Callable[[st.SearchStrategy[Any]], Any]
_SETTINGS = settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_NUMBERS = itertools.count()
_path_template: Any = path_template  # which has no types
_rest_helpers: Any = rest_helpers
_DYNAMIC = {"Any", "Struct", "Value", "ListValue"}

words = st.text(max_size=6)
segments = st.text(
    st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=5
).filter(lambda segment: segment not in {".", ".."})  # Google's client sends none of these
json_objects: st.SearchStrategy[Any] = st.dictionaries(
    words,
    st.none() | st.booleans() | words | st.floats(-1e9, 1e9) | st.lists(words, max_size=2),
    max_size=3,
)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    F.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    F.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    F.CPPTYPE_BOOL: st.booleans(),
    F.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False),
    F.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    F.CPPTYPE_ENUM: st.integers(-1, 3),
}

# What a variable may be: its field, the pattern, and how to make the value from segments.
_VARIABLES: tuple[tuple[str, str, str], ...] = (
    ("text", "{text}", "{0}"),
    ("text", "{text=shelves/*}", "shelves/{0}"),
    ("text", "{text=shelves/*/books/*}", "shelves/{0}/books/{1}"),
    ("book.name", "{book.name}", "{0}"),
    ("book.name", "{book.name=a/*/b}", "a/{0}/b"),
    ("book.sequel.title", "{book.sequel.title}", "{0}"),
    ("word", "{word}", "{0}"),
    ("some_text", "{some_text=*/*}", "{0}/{1}"),
)
_RESTS: tuple[tuple[str, str, str], ...] = (
    ("text", "{text=**}", "{0}/{1}/{2}"),
    ("book.title", "{book.title=files/**}", "files/{0}/{1}"),
)
_NUMBER_VARIABLES = ("small", "large", "natural", "large_natural", "color", "precise")
_BODIES = ("book", "books", "texts", "labels", "by_number", "small", "precise", "data", "time")
_MORE_BODIES = ("wait", "mask", "maybe_text", "maybe_flag", "object", "anything", "colors", "flag")


@dataclass(frozen=True)
class Rule:
    """A rule, and the values that its path has."""

    method: str
    template: str
    body: str
    values: dict[str, Any]


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Draw a rule for the message Everything."""
    values: dict[str, Any] = {}
    parts = ["v1"]
    chosen = draw(st.lists(st.sampled_from(_VARIABLES), max_size=2, unique_by=lambda one: one[0]))
    if draw(st.booleans()):
        rest = draw(st.sampled_from(_RESTS))
        chosen = [*(one for one in chosen if one[0] != rest[0]), rest]
    for name in draw(st.lists(st.sampled_from(_NUMBER_VARIABLES), max_size=2, unique=True)):
        parts += [f"{{{name}}}", "x"]
        values[name] = 0.5 if name == "precise" else draw(st.integers(1, 2**31 - 1))
    for field, pattern, value in chosen:
        parts.append(pattern)
        values[field] = value.format(*(draw(segments) for _ in range(3)))
    verb = draw(st.sampled_from(["", ":move", ":a-b"]))
    method = draw(st.sampled_from(["get", "put", "post", "delete", "patch"]))
    free = [name for name in (*_BODIES, *_MORE_BODIES) if name not in values]
    body = "" if method == "get" else draw(st.sampled_from(["", "*", *free]))
    return Rule(method, "/" + "/".join(parts) + verb, body, values)


def fill(draw: Draw, message: Any, depth: int, *, as_text: bool) -> None:
    """Set some fields of a message, only those that a query can hold if `as_text`."""
    fields = [field for field in message.DESCRIPTOR.fields if not as_text or _in_query(field)]
    for field in draw(st.lists(st.sampled_from(fields), max_size=5, unique_by=lambda f: f.name)):
        oneof = field.containing_oneof
        if oneof is None or message.WhichOneof(oneof.name) is None:
            fill_field(draw, message, field, depth, as_text=as_text)


def fill_field(
    draw: Draw, message: Any, field: FieldDescriptor, depth: int, *, as_text: bool
) -> None:
    """Set one field."""
    kind = field.message_type
    items = getattr(message, field.name)
    if kind is not None and kind.GetOptions().map_entry:
        key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
        for each in draw(st.lists(scalar(key), max_size=2)):
            if value.message_type is None:
                items[each] = draw(scalar(value))
            else:
                fill_message(draw, items[each], depth, as_text=as_text)
    elif field.is_repeated:
        for _ in range(draw(st.integers(0, 3))):
            if kind is None:
                items.append(draw(scalar(field)))
            else:
                fill_message(draw, items.add(), depth, as_text=as_text)
    elif kind is None:
        setattr(message, field.name, draw(scalar(field)))
    else:
        items.SetInParent()
        fill_message(draw, items, depth, as_text=as_text)


def fill_message(draw: Draw, message: Any, depth: int, *, as_text: bool) -> None:
    """Fill a message of any type."""
    name = message.DESCRIPTOR.full_name.removeprefix("google.protobuf.")
    match name:
        case "Timestamp":
            message.seconds = draw(st.integers(-62_135_596_800, 253_402_300_799))
            message.nanos = draw(st.integers(0, 999_999_999))
        case "Duration":
            sign = draw(st.sampled_from([-1, 1]))
            message.seconds = sign * draw(st.integers(0, 315_576_000_000 - 1))
            message.nanos = sign * draw(st.integers(0, 999_999_999))
        case "FieldMask":
            message.paths.extend(draw(st.lists(st.sampled_from(["a", "b_c", "d.e_f"]), max_size=3)))
        case "Struct":
            json_format.ParseDict(draw(json_objects), message)
        case "Value":
            json_format.ParseDict(draw(json_objects | st.none() | words), message)
        case _ if name.endswith("Value"):
            message.value = draw(scalar(message.DESCRIPTOR.fields_by_name["value"]))
        case "Any":
            pass
        case _ if depth:
            fill(draw, message, depth - 1, as_text=as_text)


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Return what a scalar field may have."""
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=6)
    return _SCALARS.get(field.cpp_type, words)


def _in_query(field: FieldDescriptor) -> bool:
    kind = field.message_type
    if kind is None or kind.full_name in messages.WRAPPERS or kind.full_name in messages.TEXTS:
        return True
    return not field.is_repeated and kind.name not in _DYNAMIC


def prune(message: Any) -> None:
    """Clear messages with nothing in them: a query has no way to tell of them."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or field.is_repeated or kind.full_name.startswith("google.protobuf."):
            continue
        prune(value)
        if not value.ByteSize():
            message.ClearField(field.name)


def draw_message(draw: Draw, new: Any, rule: Rule) -> Any:
    """Return a message that the rule can carry, without what it has no way to tell of."""
    message = new("Everything")
    fill(draw, message, 2, as_text=rule.body != "*")
    if rule.body == "*":
        set_paths(message, rule)
        return message
    if rule.body:
        message.ClearField(rule.body)
    set_paths(message, rule)
    prune(message)
    if rule.body:
        body = message.DESCRIPTOR.fields_by_name[rule.body]
        fill_field(draw, message, body, 2, as_text=False)
        set_paths(message, rule)
    return message


def set_paths(message: Any, rule: Rule) -> None:
    """Set the fields that the path has."""
    for field_path, value in rule.values.items():
        set_path(message, field_path, value)


def set_path(message: Any, field_path: str, value: Any) -> None:
    """Set a field inside of fields."""
    *parents, leaf = field_path.split(".")
    for name in parents:
        message = getattr(message, name)
    setattr(message, leaf, value)


@pytest.fixture(scope="session")
def serve_rules(library: ServiceDescriptor) -> Callable[[Sequence[Rule]], ServiceDescriptor]:
    """Return a function that makes a service of methods of Everything with these rules."""
    pool = library.file.pool

    def make(served: Sequence[Rule]) -> ServiceDescriptor:
        number = next(_NUMBERS)
        file = descriptor_pb2.FileDescriptorProto(
            name=f"random{number}.proto",
            package=f"random{number}",
            syntax="proto3",
            dependency=[library.file.name, "google/api/annotations.proto"],
        )
        service = file.service.add(name="Random")
        for index, rule in enumerate(served):
            everything = ".library.v1.Everything"
            rpc = service.method.add(
                name=f"Do{index}", input_type=everything, output_type=everything
            )
            http = rpc.options.Extensions[annotations_pb2.http]
            setattr(http, rule.method, rule.template)
            http.body = rule.body
        pool.Add(file)
        return pool.FindFileByName(file.name).services_by_name["Random"]

    return make


def request_of(rule: Rule, message: Message) -> tuple[str, str, bytes]:
    """Return the path, query and body that Google's client would send."""
    option = {"method": rule.method, "uri": rule.template} | (
        {"body": rule.body} if rule.body else {}
    )
    sent = _path_template.transcode([option], message)
    query = _rest_helpers.flatten_query_params(
        json_format.MessageToDict(sent["query_params"]), strict=True
    )
    body = b""
    if rule.body == "*":
        body = json_format.MessageToJson(sent["body"]).encode()
    elif rule.body:
        left = message.__class__.FromString(message.SerializeToString())
        for field in rule.values:
            _path_template.delete_field(left, field)
        tree = json_format.MessageToDict(left, preserving_proto_field_name=True)
        body = json.dumps(tree[rule.body]).encode() if rule.body in tree else b""
    return sent["uri"], urlencode(query), body


@_SETTINGS
@given(data=st.data(), rule=rules())
def test_what_a_client_takes_apart_is_put_together(
    serve_rules: Any, new: Any, data: st.DataObject, rule: Rule
) -> None:
    """Any message, over any rule, arrives as it was sent."""
    message = draw_message(data.draw, new, rule)
    path, query, body = request_of(rule, message)
    router = transcoding.make_router([serve_rules([rule])])
    match = router.match(rule.method.upper(), path)
    assert transcoding.bind(match, query_string=query, body=body) == message


@_SETTINGS
@given(served=st.lists(rules(), min_size=1, max_size=6), data=st.data())
def test_the_router_finds_what_templates_match(
    serve_rules: Any, served: list[Rule], data: st.DataObject
) -> None:
    """Among several rules, the one that answers is the most specific of those that match."""
    try:
        router = transcoding.make_router([serve_rules(served)])
    except transcoding.RuleError as error:
        assert "answer the same requests" in str(error)  # noqa: PT017 - most have no error
        return
    rule = data.draw(st.sampled_from(served))
    template = transcoding.parse_template(rule.template)
    path = template.expand({key: str(value) for key, value in rule.values.items()})
    method = rule.method.upper()
    matching = [
        binding
        for binding in router.bindings
        if binding.http_method == method and binding.template.match(path) is not None
    ]
    best = min(matching, key=lambda binding: binding.template.specificity)
    found = router.match(method, path)
    assert found.binding is best
    assert found.captures == best.template.match(path)


@_SETTINGS
@given(rule=rules())
def test_a_template_captures_what_it_was_expanded_with(rule: Rule) -> None:
    """`expand` and `match` undo each other, and Google's client writes the same path."""
    template = transcoding.parse_template(rule.template)
    values = {key: str(value) for key, value in rule.values.items()}
    assert template.match(template.expand(values)) == values


raw_text = st.text(st.characters(max_codepoint=255), max_size=20)
pieces = st.sampled_from(
    ["/", "%2F", "%", "%ff", ":", "v1", "shelves", "books", "a", "..", "**", "{", "*", "é", "\0"]
)
targets = st.lists(pieces, max_size=8).map("".join) | raw_text
queries = st.lists(
    st.tuples(
        st.sampled_from(["text", "small", "book.title", "labels", "time", "mask", "book", "", "%"]),
        st.sampled_from(["=", "", "=="]),
        st.sampled_from(["1", "", "a", "%ff", "true", "2026-01-01T00:00:00Z", "1s", "NaN", "é"]),
    ).map("".join),
    max_size=4,
).map("&".join)
bodies = st.binary(max_size=20) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "small", "book", "time", "labels"]) | words, inner
        )
    ),
    max_leaves=5,
).map(lambda tree: json.dumps(tree).encode())


class Echo:
    """Answers each RPC with an empty message."""

    async def unary(
        self,
        binding: transcoding.Binding,
        request: Message,
        options: transcoding.CallOptions,
    ) -> transcoding.Reply:
        """Return the reply."""
        request.SerializeToString()
        assert options.timeout is None
        return transcoding.Reply(binding.response_class())

    def stream(self, *_: object) -> Any:
        """Return no stream: there is no such method."""
        raise AssertionError


@_SETTINGS
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "PURGE", "HEAD", "OPTIONS", "x"]),
    target=targets,
    query=queries | raw_text,
    body=bodies,
)
def test_no_request_is_a_500(
    library_router: transcoding.Router, method: str, target: str, query: str, body: bytes
) -> None:
    """Whatever is sent is served, or refused as the caller's fault."""
    app = transcoding.Transcoder(
        library_router,
        Echo(),
        transcoding.StatusEnvelope(),
        metadata=lambda _: (),
        prepare=lambda *_: None,
        max_body_bytes=10_000,
        body_timeout=10,
    )
    headers = {"Content-Type": "application/json"}
    whole = f"/v1/{target}?{query}"
    answer = asyncio.run(ask(app, method, whole, headers=headers, body=body))
    assert answer.status < 500
    if answer.body:
        json.loads(answer.body)
