"""The committed OpenAPI document, and whether an answer is one that it describes."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
FILE = ROOT / "gateway/openapi.json"
_WELL_KNOWN = Path(protoc.__file__).parent / "_proto"
_GOOGLE_API = Path(annotations_pb2.__file__).parents[2]
_OF_HTTP = {"content-type", "content-length", "content-encoding", "date", "connection", "server"}


def compile_image(into: Path, directory: Path, *files: str) -> descriptor_pb2.FileDescriptorSet:
    """Compile proto files below `directory`, with imports and source info, as `make image` does."""
    image = into / "image.binpb"
    arguments = ["protoc", *(f"-I{path}" for path in (directory, _WELL_KNOWN, _GOOGLE_API))]
    arguments += ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
    assert protoc.main([*arguments, *files]) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())


def load() -> Any:
    """Return the committed document."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Answer:
    """An answer to an operation, whoever got it."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Description:
    """What a document says of answers, taken strictly: there is nothing that it does not name."""

    def __init__(self, document: Any) -> None:
        """Describe by `document`, which stays as it is."""
        self.document = copy.deepcopy(document)
        self._close()

    def ensure_describes(self, method: str, path: str, answer: Answer) -> None:
        """Return if this is an answer that the operation has."""
        operation = self.document["paths"][path][method.lower()]
        responses = operation["responses"]
        assert str(answer.status) in responses, f"{method} {path} has no {answer.status}"
        response = self.resolved(responses[str(answer.status)])
        headers = {name.lower(): value for name, value in answer.headers.items()}
        media_type = headers["content-type"].split(";")[0]
        assert media_type in response["content"], media_type
        self.ensure_valid(response["content"][media_type]["schema"], answer.body)
        self._ensure_headers(response.get("headers", {}), headers)

    def ensure_valid(self, schema: Any, value: Any) -> None:
        """Return if a value is as a schema of the document says, and has nothing else."""
        whole = {**schema, "components": self.document["components"]}
        if "$ref" not in schema:
            whole["unevaluatedProperties"] = False
        problems = [error.message for error in Draft202012Validator(whole).iter_errors(value)]
        assert not problems, problems

    def examples(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield where each example of a body is, its schema, and itself."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
                for name, body in bodies.items():
                    for kind, media in self.resolved(body).get("content", {}).items():
                        for title, example in media.get("examples", {}).items():
                            where = f"{method} {path} {name} {kind} {title}"
                            yield where, media["schema"], example["value"]

    def resolved(self, node: Any) -> Any:
        """Return what a reference is to, and anything else as it is."""
        if "$ref" not in node:
            return node
        found = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _ensure_headers(self, described: Any, headers: Mapping[str, str]) -> None:
        known = {name.lower(): self.resolved(header) for name, header in described.items()}
        assert headers.keys() <= known.keys() | _OF_HTTP, headers.keys() - known.keys() - _OF_HTTP
        for name, header in known.items():
            if name in headers:
                value: Any = headers[name]
                whole_number = header["schema"]["type"] == "integer"
                self.ensure_valid(header["schema"], int(value) if whole_number else value)
            else:
                assert not header.get("required"), f"{name} is not there"

    def _close(self) -> None:
        """Let no object have members that are not described."""
        schemas = self.document["components"]["schemas"]
        parts = set(_references_in_all_of(self.document))
        for name, schema in schemas.items():
            if f"#/components/schemas/{name}" not in parts and "properties" in schema:
                schema.setdefault("additionalProperties", False)


def _references_in_all_of(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (part["$ref"] for part in node.get("allOf", ()) if "$ref" in part)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references_in_all_of(each)
