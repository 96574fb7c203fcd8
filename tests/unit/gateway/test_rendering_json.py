"""Responses as JSON: what proto3's mapping says, in the form that clients expect."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format, timestamp_pb2

from gateway.transcoding.rendering import render, to_json
from gateway.transcoding.router import Router

New = Callable[[str], Any]


@pytest.mark.parametrize(
    "nanos, printed",
    [
        (0, "2026-01-01T00:30:00.000Z"),
        (1_000_000, "2026-01-01T00:30:00.001Z"),
        (120_000_000, "2026-01-01T00:30:00.120Z"),
        (1_000, "2026-01-01T00:30:00.000001Z"),
        (1, "2026-01-01T00:30:00.000000001Z"),
    ],
)
def test_timestamps_have_milliseconds(new: New, nanos: int, printed: str) -> None:
    """Whole milliseconds are printed as JavaScript prints them, wherever they are."""
    time = timestamp_pb2.Timestamp(seconds=1_767_227_400, nanos=nanos)
    assert to_json(time) == printed
    book = new("Book")
    for place in (
        book.publish_time,
        book.reprint_times.add(),
        book.loans["a"],
        book.sequel.sequel.publish_time,
    ):
        place.seconds, place.nanos = time.seconds, nanos
    tree: Any = to_json(book)
    assert tree["publishTime"] == tree["loans"]["a"] == printed
    assert tree["reprintTimes"] == [printed]
    assert tree["sequel"]["sequel"]["publishTime"] == printed


def test_fields_without_presence_are_always_there(new: New) -> None:
    """Clients find the 0 and the empty list; what has presence is absent if it is not set."""
    assert to_json(new("Book")) == {
        "name": "",
        "title": "",
        "reprintTimes": [],
        "loans": {},
        "copies": "0",
    }


def test_a_response_can_be_one_field(library_router: Router, new: New) -> None:
    """With `response_body: "books"`, the answer is the list."""
    binding = library_router.match("GET", "/v1/shelves/1/books").binding
    response = new("BookList")
    assert render(binding, response) == []
    response.books.add().title = "t"
    tree: Any = render(binding, response)
    assert tree[0]["title"] == "t"


def test_everything_can_be_printed(new: New) -> None:
    """Well-known types and every kind of map come out as json_format has them."""
    value = {
        "byNumber": {"1": {"title": "t"}},
        "byFlag": {"true": "x"},
        "object": {"a": {"b": [1.5]}},
        "anything": None,
        "wait": "1.5s",
        "maybeLarge": "5",
        "packed": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"},
    }
    message = new("Everything")
    pool = message.DESCRIPTOR.file.pool
    json_format.ParseDict(value, message, descriptor_pool=pool)
    assert to_json(message) == json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, descriptor_pool=pool
    )
