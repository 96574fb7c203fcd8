"""The generator on another API than ours: all that google.api.http can say."""

from typing import Any

import pytest
from openapi_document import compile_image
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from gateway.openapi import document
from gateway.openapi.api import AnswerHeader, Api, Example, RefusalCase, RefusalForm, RequestHeader

PROTO = """
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";

// Sells things. There
// is nothing else.
//
// - a list
// - of two
service Shop {
  // Gets an item. It costs nothing.
  rpc GetItem(GetItemRequest) returns (Item) {
    option (google.api.http) = {
      get: "/v1/{name=shops/*/items/*}"
      additional_bindings {get: "/v1/items/{name}"}
    };
  }
  rpc ListItems(ListItemsRequest) returns (ItemList) {
    option (google.api.http) = {get: "/v1/items" response_body: "items"};
  }
  rpc UpdateItem(UpdateItemRequest) returns (Item) {
    option (google.api.http) = {patch: "/v1/{item.name=shops/*/items/*}" body: "item"};
  }
  rpc SellItem(Item) returns (Item) {
    option (google.api.http) = {post: "/v1/items:sell" body: "*"};
  }
  rpc WatchItems(GetItemRequest) returns (stream Item) {
    option (google.api.http) = {get: "/v1/watch/{name}"};
  }
  rpc PutPicture(PutPictureRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {put: "/v1/pictures/{name}" body: "picture"};
  }
  rpc Purge(GetItemRequest) returns (Item) {
    option (google.api.http) = {custom {kind: "PURGE" path: "/v1/cache/{name}"}};
  }
}

message GetItemRequest {
  string name = 1;
  Options options = 2;
  message Options { bool full_text = 1; repeated int32 sizes = 2; Options inner = 3; }
}
message ListItemsRequest { google.protobuf.Timestamp since = 1; }
message ItemList { repeated Item items = 1; }
message UpdateItemRequest { Item item = 1; string update_id = 2; bool dry_run = 3; }
message PutPictureRequest { string name = 1; google.api.HttpBody picture = 2; }

// A thing.
message Item {
  string name = 1 [(google.api.field_behavior) = REQUIRED];
  // What it costs, as `unit_price` says, not `other`.
  int64 price = 2 [deprecated = true];
  int32 unit_price = 3;
  Item part = 4;
}
"""
API = Api(
    information={"title": "Shop", "version": "1"},
    tags={"shop.v1.Shop": "The shop"},
    fields={"shop.v1.Item.unit_price": {"maximum": 9}},
    always_there=frozenset({"shop.v1.Item.part"}),
    request_headers=[
        RequestHeader(
            "Update-Id",
            "Which update.",
            {"type": "string"},
            "7",
            where=lambda binding: binding.rpc.name == "UpdateItem",
            field="shop.v1.UpdateItemRequest.update_id",
        )
    ],
    answer_headers=[AnswerHeader("Retry-After", "When.", {"type": "integer"}, frozenset({429}))],
    refusals=[
        RefusalCase(404, "GONE", "It is gone."),
        RefusalCase(429, "BUSY", "Too many ask."),
        RefusalCase(404, "HIDDEN", "Not for you.", lambda each: each.rpc.name == "SellItem"),
    ],
    refusal_forms=[RefusalForm("text/plain", lambda _: {"type": "string"}, lambda case: case.code)],
    examples={"shop.v1.Shop.SellItem": Example(requests={"one": {"name": "a"}})},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the document of the shop."""
    directory = tmp_path_factory.mktemp("shop")
    (directory / "shop.proto").write_text(PROTO, encoding="utf-8")
    return document.make(compile_image(directory, directory, "shop.proto"), API)


def test_it_is_openapi(made: Any) -> None:
    """Whatever the API."""
    OPENAPI_31_VALIDATOR.validate(made)


def test_each_rule_is_an_operation(made: Any) -> None:
    """But for a method that OpenAPI has no word for; a method's second rule has a number."""
    operations = {
        f"{method} {path}": operation["operationId"]
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        "get /v1/{name}": "GetItem",
        "get /v1/items/{name}": "GetItem2",
        "get /v1/items": "ListItems",
        "patch /v1/{item.name}": "UpdateItem",
        "post /v1/items:sell": "SellItem",
        "get /v1/watch/{name}": "WatchItems",
        "put /v1/pictures/{name}": "PutPicture",
    }


def test_comments_are_descriptions(made: Any) -> None:
    """The first sentence sums up; a field is called by the name that it has in JSON."""
    operation = made["paths"]["/v1/{name}"]["get"]
    assert operation["summary"] == "Gets an item"
    assert operation["description"] == "Gets an item. It costs nothing."
    told = "Sells things. There is nothing else.\n\n- a list\n- of two"
    assert made["tags"] == [{"name": "The shop", "description": told}]
    item = made["components"]["schemas"]["Item"]
    assert item["description"] == "A thing."
    price = item["properties"]["price"]
    assert price["description"] == "What it costs, as `unitPrice` says, not `other`."
    assert price["deprecated"] is True


def test_what_the_path_and_the_body_leave_is_a_parameter(made: Any) -> None:
    """Fields in fields with dots; what repeats itself once; what a header has not at all."""
    first = made["paths"]["/v1/{name}"]["get"]["parameters"]
    assert [(each["in"], each["name"]) for each in first] == [
        ("path", "name"),
        ("query", "options.fullText"),
        ("query", "options.sizes"),
    ]
    assert first[0]["schema"]["pattern"] == "^shops/[^/]+/items/[^/]+$"
    assert first[2]["schema"]["type"] == "array"
    since = made["paths"]["/v1/items"]["get"]["parameters"][0]
    assert since["schema"] == {"type": "string", "format": "date-time"}
    update = made["paths"]["/v1/{item.name}"]["patch"]["parameters"]
    assert [each.get("name") for each in update] == ["item.name", "dryRun", None]
    assert update[2] == {"$ref": "#/components/parameters/Update-Id"}
    assert "parameters" not in made["paths"]["/v1/items:sell"]["post"]


def test_what_is_read_and_written_has_two_schemas(made: Any) -> None:
    """One is strict and has null, the other has all that is always there."""
    schemas = made["components"]["schemas"]
    written, read = schemas["Item"], schemas["ItemInput"]
    assert written["required"] == ["name", "price", "unitPrice", "part"]
    assert read["required"] == ["name"]
    assert (written.get("additionalProperties"), read["additionalProperties"]) == (None, False)
    assert written["properties"]["unitPrice"]["maximum"] == 9
    assert read["properties"]["part"]["anyOf"][0] == {"$ref": "#/components/schemas/ItemInput"}
    body = made["paths"]["/v1/items:sell"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ItemInput"}
    assert body["examples"] == {"one": {"value": {"name": "a"}}}


def test_answers_have_the_form_that_they_are_served_in(made: Any) -> None:
    """A part of a message, a stream of them, or bytes of any type."""

    def content(path: str, method: str = "get") -> Any:
        return made["paths"][path][method]["responses"]["200"]["content"]

    item = {"$ref": "#/components/schemas/Item"}
    assert content("/v1/items")["application/json"]["schema"] == {"type": "array", "items": item}
    line = {"type": "object", "properties": {"result": item}}
    assert {kind: each["schema"] for kind, each in content("/v1/watch/{name}").items()} == {
        "application/x-ndjson": line,
        "application/json": line,
        "text/event-stream": item,
    }
    picture = made["paths"]["/v1/pictures/{name}"]["put"]
    assert content("/v1/pictures/{name}", "put") == picture["requestBody"]["content"]
    assert list(picture["requestBody"]["content"]) == ["*/*"]


def test_operations_that_are_refused_alike_share_it(made: Any) -> None:
    """And have another name for what is refused otherwise."""
    responses = made["components"]["responses"]
    assert set(responses) == {"Busy", "Gone", "SellItemGone"}
    assert list(responses["Busy"]["headers"]) == ["Retry-After"]
    assert responses["Gone"]["headers"] == {}
    assert list(responses["SellItemGone"]["content"]["text/plain"]["examples"]) == [
        "GONE",
        "HIDDEN",
    ]
    sell = made["paths"]["/v1/items:sell"]["post"]["responses"]
    assert sell["404"] == {"$ref": "#/components/responses/SellItemGone"}
