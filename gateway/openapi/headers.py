"""The headers of requests and answers, each a component of the document."""

from gateway.openapi.api import Api
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json


class Headers:
    """Refers to headers; `parameters` and `components` are those that were referred to."""

    def __init__(self, api: Api) -> None:
        self.parameters: dict[str, Json] = {}
        self.components: dict[str, Json] = {}
        self._api = api

    def of_request(self, binding: Binding) -> list[Json]:
        """Return references to the headers that requests of an operation may have."""
        references: list[Json] = []
        for header in self._api.request_headers:
            if header.where(binding):
                self.parameters[header.name] = {
                    "name": header.name,
                    "in": "header",
                    "description": header.description,
                    "schema": dict(header.schema),
                    "example": header.example,
                }
                references.append({"$ref": f"#/components/parameters/{header.name}"})
        return references

    def of_answer(self, binding: Binding, status: int) -> Json:
        """Return references to the headers that answers of an operation have, by name."""
        references: dict[str, Json] = {}
        for header in self._api.answer_headers:
            if header.where(binding) and status in (header.statuses or {status}):
                self.components[header.name] = {
                    "description": header.description,
                    **({"required": True} if header.required else {}),
                    "schema": dict(header.schema),
                }
                references[header.name] = {"$ref": f"#/components/headers/{header.name}"}
        return references
