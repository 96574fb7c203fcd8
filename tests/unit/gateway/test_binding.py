"""Binding: from path, query and body to a message, each error naming its field."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor import ServiceDescriptor
from hypothesis import HealthCheck, given, settings, strategies as st

from gateway.transcoding import messages
from gateway.transcoding.binding import bind
from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.router import Router, make_router

New = Callable[[str], Any]
Compile = Callable[[str], ServiceDescriptor]


def as_dict(message: Any) -> dict[str, Any]:
    """Return what is set in `message`, by proto names."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


@pytest.mark.parametrize(
    "value, expected",
    [
        ({}, {}),
        ({"text": "é"}, {"text": "é"}),
        ({"data": "-_8"}, {"data": "+/8="}),
        ({"data": "+/8="}, {"data": "+/8="}),
        ({"flag": True}, {"flag": True}),
        ({"small": 15, "large": "-15"}, {"small": 15, "large": "-15"}),
        ({"small": 15.0}, {"small": 15}),
        ({"small": 1e3}, {"small": 1000}),
        ({"small": "015"}, {"small": 15}),
        ({"large_natural": 2**64 - 1}, {"large_natural": str(2**64 - 1)}),
        ({"largeNatural": 7}, {"large_natural": "7"}),
        ({"precise": 1, "single": 0.5}, {"precise": 1.0, "single": 0.5}),
        ({"precise": "0.5", "single": "-Infinity"}, {"precise": 0.5, "single": "-Infinity"}),
        ({"precise": "NaN", "single": "1e3"}, {"precise": "NaN", "single": 1000.0}),
        ({"color": "RED"}, {"color": "RED"}),
        ({"color": 1}, {"color": "RED"}),
        ({"color": 7}, {"color": 7}),
        ({"texts": ["a", "b"]}, {"texts": ["a", "b"]}),
        ({"colors": ["RED", 0]}, {"colors": ["RED", "COLOR_UNSPECIFIED"]}),
        ({"books": [{"title": "t"}, {}]}, {"books": [{"title": "t"}, {}]}),
        ({"labels": {"a": "b"}}, {"labels": {"a": "b"}}),
        ({"byNumber": {"1": {"title": "t"}}}, {"by_number": {"1": {"title": "t"}}}),
        ({"byFlag": {"true": "x"}}, {"by_flag": {"true": "x"}}),
        ({"book": {}}, {"book": {}}),
        ({"book": {"sequel": {"title": "t"}}}, {"book": {"sequel": {"title": "t"}}}),
        ({"word": "", "count": None}, {"word": ""}),
        ({"time": "1970-01-01T00:00:00Z"}, {"time": "1970-01-01T00:00:00Z"}),
        ({"wait": "1.5s"}, {"wait": "1.500s"}),
        ({"mask": "a,bC"}, {"mask": "a,bC"}),
        ({"maybeText": "", "maybeLarge": "5"}, {"maybe_text": "", "maybe_large": "5"}),
        ({"object": {"a": [1, None]}}, {"object": {"a": [1.0, None]}}),
        ({"anything": None}, {"anything": None}),
        ({"anything": "x"}, {"anything": "x"}),
        ({"pages": 3}, {"number_of_pages": 3}),
        ({"number_of_pages": 3}, {"number_of_pages": 3}),
        ({"someText": ""}, {"some_text": ""}),
        ({"text": None, "small": None, "book": None, "texts": None, "labels": None}, {}),
    ],
)
def test_json_becomes_a_message(new: New, value: Any, expected: dict[str, Any]) -> None:
    """Each kind of field takes what proto3's JSON mapping says, null being absent."""
    message = new("Everything")
    messages.merge(message, value)
    assert as_dict(message) == expected


@pytest.mark.parametrize(
    "value, field",
    [
        ({"unknown": 1}, "unknown"),
        ({"unknown": None}, "unknown"),
        ({"numberOfPages": 1}, "numberOfPages"),
        ({"book": {"unknown": 1}}, "book.unknown"),
        ({"books": [{}, {"sequel": {"title": 1}}]}, "books[1].sequel.title"),
        ({"text": 1}, "text"),
        ({"text": True}, "text"),
        ({"text": ["a"]}, "text"),
        ({"data": "a"}, "data"),
        ({"data": "a b="}, "data"),
        ({"data": "+_8="}, "data"),
        ({"data": "-_8=="}, "data"),
        ({"data": 1}, "data"),
        ({"flag": "true"}, "flag"),
        ({"flag": 1}, "flag"),
        ({"small": True}, "small"),
        ({"small": 2.9}, "small"),
        ({"small": "15abc"}, "small"),
        ({"small": ""}, "small"),
        ({"small": " 1"}, "small"),
        ({"small": "+1"}, "small"),
        ({"small": "1.0"}, "small"),
        ({"small": "\u0661"}, "small"),
        ({"small": 2**31}, "small"),
        ({"small": str(-(2**31) - 1)}, "small"),
        ({"small": 1e300}, "small"),
        ({"large": 1e17}, "large"),
        ({"natural": -1}, "natural"),
        ({"small": []}, "small"),
        ({"small": {}}, "small"),
        ({"precise": "nan"}, "precise"),
        ({"precise": "1e"}, "precise"),
        ({"precise": "1e999"}, "precise"),
        ({"precise": ""}, "precise"),
        ({"precise": "+1"}, "precise"),
        ({"precise": True}, "precise"),
        ({"precise": 10**400}, "precise"),
        ({"single": 1e39}, "single"),
        ({"color": "red"}, "color"),
        ({"color": True}, "color"),
        ({"color": 1.5}, "color"),
        ({"color": 2**31}, "color"),
        ({"texts": "a"}, "texts"),
        ({"texts": ["a", None]}, "texts[1]"),
        ({"numbers": [1, 2.5]}, "numbers[1]"),
        ({"books": {}}, "books"),
        ({"labels": ["a"]}, "labels"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"labels": {"a": None}}, "labels.a"),
        ({"byNumber": {"x": {}}}, "byNumber.x"),
        ({"byNumber": {"1": {}, "01": {}}}, "byNumber.01"),
        ({"byFlag": {"yes": "x"}}, "byFlag.yes"),
        ({"book": []}, "book"),
        ({"book": "x"}, "book"),
        ({"word": "a", "count": 1}, "count"),
        ({"largeNatural": 1, "large_natural": 1}, "large_natural"),
        ({"largeNatural": 1, "large_natural": None}, "large_natural"),
        ({"some_text": None, "someText": None}, "someText"),
        ({"time": "yesterday"}, "time"),
        ({"time": 1}, "time"),
        ({"time": {}}, "time"),
        ({"wait": "1"}, "wait"),
        ({"mask": "a_b"}, "mask"),
        ({"mask": "a,"}, "mask"),
        ({"mask": ","}, "mask"),
        ({"wait": "1.0000000001s"}, "wait"),
        ({"time": "2026-1-1T1:1:1Z"}, "time"),
        ({"time": "2026-01-01T00:00:00.Z"}, "time"),
        ({"time": "2026-01-01T00:00:00.1_0Z"}, "time"),
        ({"time": "2026-01-01T00:00:00+24:00"}, "time"),
        ({"time": "2026-01-01T00:00:00+00:60"}, "time"),
        ({"time": "2026-01-01T00:00:00+-1:00"}, "time"),
        ({"time": "٢٠٢٦-01-01T00:00:00Z"}, "time"),
        ({"wait": ".5s"}, "wait"),
        ({"maybeLarge": "x"}, "maybeLarge"),
        ({"maybeText": 1}, "maybeText"),
        ({"object": 1}, "object"),
        ({"packed": {"@type": "x/unknown"}}, "packed"),
        ({"packed": {"a": 1}}, "packed"),
        ([], ""),
        (None, ""),
        ("x", ""),
    ],
)
def test_wrong_json_names_its_field(new: New, value: Any, field: str) -> None:
    """What a field cannot hold is refused, by the field's path as the caller wrote it."""
    with pytest.raises(InvalidRequestError) as refused:
        messages.merge(new("Everything"), value)
    assert refused.value.field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_is_a_message_or_refused(new: New, data: st.DataObject) -> None:
    """No JSON value in any field raises anything but InvalidRequestError."""
    message = new("Everything")
    field = data.draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    with suppress(InvalidRequestError):
        messages.merge(message, {field.json_name: data.draw(json_values)})
        message.SerializeToString()


def test_an_any_whose_message_lacks_what_it_must_have_is_refused() -> None:
    """A field that proto2 requires is the caller's to give."""
    part: Any = {"@type": "type.googleapis.com/google.protobuf.UninterpretedOption.NamePart"}
    with pytest.raises(InvalidRequestError) as refused:
        messages.set_message(any_pb2.Any(), part, "held")
    assert refused.value.field == "held"
    messages.set_message(any_pb2.Any(), part | {"namePart": "a", "isExtension": False}, "held")


def everything(router: Router, query_string: str) -> dict[str, Any]:
    """Bind a query to the rule that takes all fields but one from it."""
    match = router.match("GET", "/v1/shelves/1/books")
    bound = as_dict(bind(match, query_string=query_string))
    assert bound.pop("text") == "shelves/1"
    return bound


@pytest.mark.parametrize(
    "query_string, expected",
    [
        ("", {}),
        ("&&", {}),
        ("small=-5&flag=true&precise=1.5e3", {"small": -5, "flag": True, "precise": 1500.0}),
        ("precise=NaN&single=-Infinity", {"precise": "NaN", "single": "-Infinity"}),
        ("word=a+b%2Bc%26", {"word": "a b+c&"}),
        ("word=", {"word": ""}),
        ("word", {"word": ""}),
        ("word=a=b", {"word": "a=b"}),
        ("texts=a&texts=b&texts=", {"texts": ["a", "b", ""]}),
        ("numbers=1&numbers=2", {"numbers": [1, 2]}),
        ("color=RED&colors=1&colors=RED", {"color": "RED", "colors": ["RED", "RED"]}),
        (
            "book.reprint_times=1970-01-01T00:00:00Z&book.reprintTimes=1970-01-01T00:00:01Z",
            {"book": {"reprint_times": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"]}},
        ),
        ("book.title=t&book.sequel.copies=3", {"book": {"title": "t", "sequel": {"copies": "3"}}}),
        (
            "book.publishTime=1970-01-01T00:00:00Z",
            {"book": {"publish_time": "1970-01-01T00:00:00Z"}},
        ),
        (
            "time=2026-01-01T00:00:00Z&wait=2s&mask=a",
            {"time": "2026-01-01T00:00:00Z", "wait": "2s", "mask": "a"},
        ),
        (
            "maybeText=x&maybe_large=0&maybeFlag=false",
            {"maybe_text": "x", "maybe_large": "0", "maybe_flag": False},
        ),
        ("mask=some_text,book.publishTime", {"mask": "someText,book.publishTime"}),
        ("mask=", {"mask": ""}),
        ("mask=*", {"mask": "*"}),
        ("large_natural=1", {"large_natural": "1"}),
        ("pages=2", {"number_of_pages": 2}),
        ("data=-_8", {"data": "+/8="}),
    ],
)
def test_queries_become_messages(
    library_router: Router, query_string: str, expected: dict[str, Any]
) -> None:
    """Parameters reach scalar, repeated, nested and text-like fields."""
    assert everything(library_router, query_string) == expected


@pytest.mark.parametrize(
    "query_string, field",
    [
        ("unknown=1", "unknown"),
        ("access_token=x", "access_token"),
        ("=x", None),
        ("anything.boolValue=true", "anything.boolValue"),
        ("object.fields=x", "object.fields"),
        ("packed.typeUrl=x", "packed.typeUrl"),
        ("mask=a_b,", "mask"),
        ("mask=a,,b", "mask"),
        ("wait=1.0000000001s", "wait"),
        ("small.x=1", "small.x"),
        ("book=x", "book"),
        ("book.unknown=x", "book.unknown"),
        ("book..title=x", "book..title"),
        ("books.title=x", "books.title"),
        ("books=x", "books"),
        ("labels=x", "labels"),
        ("labels.a=x", "labels.a"),
        ("object=x", "object"),
        ("time.seconds=1", "time.seconds"),
        ("text=x", "text"),
        ("small=1&small=1", "small"),
        ("largeNatural=1&large_natural=1", "large_natural"),
        ("word=a&count=1", "count"),
        ("small=", "small"),
        ("small=1.0", "small"),
        ("flag=1", "flag"),
        ("precise=nan", "precise"),
        ("precise=+1", "precise"),
        ("precise=1e999", "precise"),
        ("color=red", "color"),
        ("time=x", "time"),
        ("maybeLarge=x", "maybeLarge"),
        ("word=%ff", None),
        ("word=%", None),
        (".".join(["book", *["sequel"] * 40, "title"]) + "=x", None),
    ],
)
def test_wrong_parameters_are_named(
    library_router: Router, query_string: str, field: str | None
) -> None:
    """A parameter that is unknown, taken, given twice or wrong is refused by name."""
    with pytest.raises(InvalidRequestError) as refused:
        everything(library_router, query_string)
    if field is not None:
        assert refused.value.field == field


def bound(
    router: Router, method: str, path: str, value: Any = None, query_string: str = ""
) -> dict[str, Any]:
    """Bind a request with a JSON body."""
    body = b"" if value is None else json.dumps(value).encode()
    return as_dict(bind(router.match(method, path), query_string=query_string, body=body))


def test_a_body_can_be_one_field(library_router: Router) -> None:
    """With `body: "book"`, the body is the book, and the rest are parameters."""
    path = "/v1/shelves/1/books"
    assert bound(library_router, "POST", path, {"title": "t"}, "dryRun=true") == {
        "parent": "shelves/1",
        "book": {"title": "t"},
        "dry_run": True,
    }
    with pytest.raises(InvalidRequestError, match=r"book\.title"):
        bound(library_router, "POST", path, {}, "book.title=t")
    with pytest.raises(InvalidRequestError, match=r"sequel\.title must be a string"):
        bound(library_router, "POST", path, {"sequel": {"title": 1}})


def test_a_body_can_be_a_list(library_router: Router) -> None:
    """With a repeated field for its body, a request is a JSON array."""
    path = "/v1/shelves/1/books/2/tags"
    assert bound(library_router, "PUT", path, ["a"])["texts"] == ["a"]
    with pytest.raises(InvalidRequestError, match="The body must be a list"):
        bound(library_router, "PUT", path, {})


def test_the_path_wins_over_the_body(library_router: Router) -> None:
    """A field in path and body has the path's value."""
    path = "/v1/shelves/1/books/2"
    book = {"name": "other", "title": "t"}
    assert bound(library_router, "PATCH", path, book)["book"] == {
        "name": "shelves/1/books/2",
        "title": "t",
    }


def test_a_whole_body_leaves_no_parameters(library_router: Router) -> None:
    """With `body: "*"`, a query is refused by the name of its first parameter."""
    path = "/v1/shelves/1/books/2:move"
    assert bound(library_router, "POST", path, {"small": 1})["small"] == 1
    with pytest.raises(InvalidRequestError) as refused:
        bound(library_router, "POST", path, query_string="&small=1")
    assert refused.value.field == "small"


def test_no_body_means_none(library_router: Router) -> None:
    """A rule without a body refuses one, and a rule with one does without."""
    with pytest.raises(InvalidRequestError, match="no body"):
        bound(library_router, "GET", "/v1/books/1", {})
    assert "book" not in bound(library_router, "POST", "/v1/shelves/1/books")


def test_alternatives_of_what_the_path_has(compile_service: Compile) -> None:
    """A parameter cannot be an alternative of a variable, nor of a message that is given."""
    router = make_router(
        [
            compile_service(
                "rpc Do(Thing) returns (Thing) { option (google.api.http) = "
                '{get: "/v1/{first}" additional_bindings {get: "/v2"}}; }'
            )
        ]
    )
    assert bound(router, "GET", "/v1/a", query_string="name=n") == {"first": "a", "name": "n"}
    for path, query in {
        "/v1/a": "second=b",
        "/v2": "either.name=a&or.name=b",
        "/v2/": "first=a&either.name=b",
    }.items():
        with pytest.raises(InvalidRequestError, match="alternatives"):
            bound(router, "GET", path, query_string=query)
    same = bound(router, "GET", "/v2", query_string="either.name=a&either.number=1")
    assert same == {"either": {"name": "a", "number": 1}}


def test_floats_are_numbers_where_that_is_chosen(new: New) -> None:
    """With text_floats off, no float is a string, however deep; integers may be."""
    values: list[Any] = [{"precise": "1"}, {"precise": "NaN"}]
    for value in values:
        messages.merge(new("Everything"), value)
        with pytest.raises(InvalidRequestError, match="precise must be a number"):
            messages.merge(new("Everything"), value, text_floats=False)
    messages.merge(new("Everything"), {"large": "1"}, text_floats=False)


def test_any_text_like_field_can_be_a_variable(compile_rules: Any) -> None:
    """Scalars, enums, wrappers, Timestamp, Duration and FieldMask are read from the path."""
    rules = {
        "data": ("-_8", "+/8="),
        "flag": ("true", True),
        "color": ("1", "RED"),
        "maybe_text": ("a%2Fb", "a/b"),
        "maybe_large": ("5", "5"),
        "time": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        "wait": ("1.5s", "1.500s"),
        "mask": ("a_b,cD", "aB,cD"),
        "precise": ("-Infinity", "-Infinity"),
    }
    router = compile_rules({name: f"/v1/{name}/{{{name}}}" for name in rules})
    for name, (text, value) in rules.items():
        match = router.match("GET", f"/v1/{name}/{text}")
        assert as_dict(bind(match)) == {name: value}
    with pytest.raises(InvalidRequestError, match="time must be a time"):
        bind(router.match("GET", "/v1/time/yesterday"))
