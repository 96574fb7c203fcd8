"""The answers that are no success, each a component of the document."""

from collections.abc import Iterator, Sequence

from gateway.openapi.api import Api, RefusalCase
from gateway.openapi.headers import Headers
from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json


class Refusals:
    """Makes responses of refusals; operations that are refused alike share them."""

    def __init__(self, api: Api, headers: Headers) -> None:
        self.components: dict[str, Json] = {}
        self._api = api
        self._headers = headers

    def of(self, binding: Binding) -> Iterator[tuple[str, Json]]:
        """Yield the statuses of an operation's refusals, with a reference to each response."""
        cases = [case for case in self._api.refusals if case.where(binding)]
        for status in sorted({case.status for case in cases}):
            some = [case for case in cases if case.status == status]
            name = self._name(binding, some[0], self._response(binding, some))
            yield str(status), {"$ref": f"#/components/responses/{name}"}

    def _name(self, binding: Binding, first: RefusalCase, response: Json) -> str:
        """Return the name of a response, a new one after its first case if there is none."""
        for name, other in self.components.items():
            if other == response:
                return name
        name = "".join(word.capitalize() for word in first.code.split("_"))
        if name in self.components:
            name = f"{binding.rpc.name}{name}"
        self.components[name] = response
        return name

    def _response(self, binding: Binding, cases: Sequence[RefusalCase]) -> Json:
        codes = list(dict.fromkeys(case.code for case in cases))
        content: dict[str, Json] = {
            form.media_type: {
                "schema": form.schema(codes),
                "examples": {
                    case.code: {"summary": case.when, "value": form.example(case)} for case in cases
                },
            }
            for form in self._api.refusal_forms
        }
        return {
            "description": "\n".join(f"- `{case.code}`: {case.when}" for case in cases),
            "headers": self._headers.of_answer(binding, cases[0].status),
            "content": content,
        }
