"""The OpenAPI document: operations from bindings, and the components that they refer to."""

from collections.abc import Iterable, Mapping

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor

from gateway.openapi import parameters
from gateway.openapi.api import Api, Example
from gateway.openapi.comments import Comments, first_sentence
from gateway.openapi.headers import Headers
from gateway.openapi.refusals import Refusals
from gateway.openapi.schemas import Schemas
from gateway.transcoding import router
from gateway.transcoding.rules import Binding, bindings
from gateway.transcoding.streaming import EVENTS, NDJSON
from gateway.transcoding.strict_json import Json

_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
"""The methods that OpenAPI 3.1 has words for."""
_JSON = "application/json"
_ANYTHING: Json = {"*/*": {"schema": {}}}


def make(image: descriptor_pb2.FileDescriptorSet, api: Api) -> dict[str, Json]:
    """Return the document of the services in `image` that have `google.api.http` rules.

    `image` is as protoc writes it with `--include_imports --include_source_info`.
    Rules for a method that OpenAPI has no word for are left out. Raises RuleError
    for a rule that cannot be served.
    """
    services = router.services(image)
    wanted = [each for each in services if not api.services or each.full_name in api.services]
    return _Document(api, Comments(image)).of(wanted)


class _Document:
    def __init__(self, api: Api, comments: Comments) -> None:
        self._api = api
        self._comments = comments
        self._schemas = Schemas(api, comments)
        self._headers = Headers(api)
        self._refusals = Refusals(api, self._headers)
        self._in_headers = frozenset(header.field for header in api.request_headers)

    def of(self, services: Iterable[ServiceDescriptor]) -> dict[str, Json]:
        all_bindings = [
            binding
            for service in services
            for binding in bindings(service)
            if binding.http_method in _METHODS
        ]
        for binding in all_bindings:  # what is read has the names that are left
            self._content(binding, Example())
        paths: dict[str, dict[str, Json]] = {}
        seen: dict[str, int] = {}
        for binding in all_bindings:
            number = seen[binding.rpc.name] = seen.get(binding.rpc.name, 0) + 1
            operations = paths.setdefault(parameters.path(binding), {})
            operations[binding.http_method.lower()] = self._operation(binding, number)
        tags = dict.fromkeys(binding.rpc.containing_service for binding in all_bindings)
        return {
            "openapi": "3.1.1",
            "info": dict(self._api.information),
            "servers": list(self._api.servers),
            "tags": [self._tag(service) for service in tags],
            "paths": {path: dict(operations) for path, operations in paths.items()},
            "components": self._components(),
        }

    def _operation(self, binding: Binding, number: int) -> Json:
        name = binding.rpc.name
        description = self._comments.of(binding.rpc.full_name)
        example = self._api.examples.get(binding.rpc.full_name, Example())
        asked = [
            *parameters.of(binding, self._schemas, self._in_headers),
            *self._headers.of_request(binding),
        ]
        body = self._request_body(binding, example)
        return {
            "operationId": name if number == 1 else f"{name}{number}",
            "summary": first_sentence(description) or name,
            **({"description": description} if description else {}),
            "tags": [self._tag_name(binding.rpc.containing_service)],
            "security": list(self._api.security(binding)),
            **({"parameters": asked} if asked else {}),
            **({"requestBody": body} if body else {}),
            "responses": {
                "200": self._success(binding, example),
                **dict(self._refusals.of(binding)),
            },
        }

    def _request_body(self, binding: Binding, example: Example) -> dict[str, Json]:
        if binding.body is None:
            return {}
        field = binding.body if isinstance(binding.body, FieldDescriptor) else None
        about = binding.rpc.input_type.full_name if field is None else field.full_name
        description = self._comments.of(about) or about
        if binding.raw_body:
            return {"description": description, "content": _ANYTHING}
        if field is None:
            schema = self._schemas.message(binding.rpc.input_type, read=True)
        else:
            schema = self._schemas.value(field, read=True)
        content: Json = {_JSON: {"schema": schema, **_examples(example.requests)}}
        return {"description": description, "content": content}

    def _success(self, binding: Binding, example: Example) -> Json:
        output = binding.rpc.output_type
        return {
            "description": self._comments.of(output.full_name) or output.full_name,
            "headers": self._headers.of_answer(binding, 200),
            "content": self._content(binding, example),
        }

    def _content(self, binding: Binding, example: Example) -> Json:
        if binding.raw_response:
            return _ANYTHING
        schema = self._answer(binding)
        if binding.streams:
            line: Json = {"type": "object", "properties": {"result": schema}}
            return {NDJSON: {"schema": line}, _JSON: {"schema": line}, EVENTS: {"schema": schema}}
        return {_JSON: {"schema": self._api.envelope(schema), **_examples(example.answers)}}

    def _answer(self, binding: Binding) -> Json:
        if binding.response_body is not None:
            return self._schemas.value(binding.response_body, read=False)
        return self._schemas.message(binding.rpc.output_type, read=False)

    def _tag(self, service: ServiceDescriptor) -> Json:
        text = self._comments.of(service.full_name) or service.full_name
        return {"name": self._tag_name(service), "description": text}

    def _tag_name(self, service: ServiceDescriptor) -> str:
        return self._api.tags.get(service.full_name, service.name)

    def _components(self) -> Json:
        components: dict[str, Mapping[str, Json]] = {
            "securitySchemes": self._api.security_schemes,
            "parameters": self._headers.parameters,
            "headers": self._headers.components,
            "responses": self._refusals.components,
            "schemas": self._schemas.components,
        }
        return {kind: _sorted(each) for kind, each in components.items() if each}


def _sorted(components: Mapping[str, Json]) -> Json:
    return {name: components[name] for name in sorted(components)}


def _examples(examples: Mapping[str, Json]) -> dict[str, Json]:
    if not examples:
        return {}
    return {"examples": {name: {"value": value} for name, value in examples.items()}}
