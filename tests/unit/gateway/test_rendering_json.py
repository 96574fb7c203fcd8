"""Responses as JSON: what proto3's mapping says, in the form that clients expect."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    timestamp_pb2,
)

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


def test_timestamps_in_extensions() -> None:
    """Of proto2: their names are in brackets, and what is in them is printed as elsewhere."""
    shop = _shop()
    item, stock = shop.message_types_by_name["Item"], shop.extensions_by_name["stock"]
    message = message_factory.GetMessageClass(item)()
    message.Extensions[stock].since.seconds = 1_767_227_400
    message.Extensions[shop.extensions_by_name["sold"]].add().seconds = 1_767_227_400
    assert to_json(message) == {
        "[shop.stock]": {"since": "2026-01-01T00:30:00.000Z"},
        "[shop.sold]": ["2026-01-01T00:30:00.000Z"],
    }


def _shop() -> Any:
    """Return a file of proto2, with a message that has extensions."""
    described = descriptor_pb2.FileDescriptorProto(
        name="shop.proto",
        package="shop",
        syntax="proto2",
        dependency=[timestamp_pb2.DESCRIPTOR.name],
    )
    item, stock = described.message_type.add(name="Item"), described.message_type.add(name="Stock")
    item.extension_range.add(start=100, end=200)
    message, single, repeated = 11, 1, 3
    stock.field.add(
        name="since", number=1, type=message, label=single, type_name=".google.protobuf.Timestamp"
    )
    described.extension.add(
        name="stock",
        extendee=".shop.Item",
        number=100,
        type=message,
        label=single,
        type_name=".shop.Stock",
    )
    described.extension.add(
        name="sold",
        extendee=".shop.Item",
        number=101,
        type=message,
        label=repeated,
        type_name=".google.protobuf.Timestamp",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(described.SerializeToString())
    return pool.FindFileByName("shop.proto")


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
