"""Find the RPC for an HTTP method and path."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.transcoding.errors import (
    MethodNotAllowedError,
    RequestError,
    RuleError,
    UnknownPathError,
)
from gateway.transcoding.rules import ANY_METHOD, Binding, bindings
from gateway.transcoding.template import split


@dataclass(frozen=True)
class Match:
    """A binding, and what its path variables captured, by field path."""

    binding: Binding
    captures: Mapping[str, str]


class Router:
    """Bindings, in the order in which they are tried.

    Raises RuleError, naming both methods, if two bindings would answer the same requests.
    """

    def __init__(self, all_bindings: Iterable[Binding]) -> None:
        taken: dict[object, Binding] = {}
        for binding in all_bindings:
            key = (binding.http_method, binding.template.shape)
            if key in taken:
                raise RuleError(f"{taken[key]} and {binding} answer the same requests")
            taken[key] = binding
        self._bindings = sorted(
            taken.values(),
            key=lambda one: (one.template.specificity, one.http_method == ANY_METHOD),
        )

    def match(self, http_method: str, path: str) -> Match:
        """Return the most specific binding for a raw, still percent-encoded path.

        A trailing slash makes no difference, and HEAD is answered as GET
        (RFC 9110, 9.3.2) unless a rule says otherwise.

        Raises UnknownPathError, MethodNotAllowedError, and InvalidRequestError
        for a path that cannot be decoded.
        """
        matches = self._matches(path)
        if not matches:
            raise UnknownPathError
        wanted = [http_method, "GET"] if http_method == "HEAD" else [http_method]
        for method in wanted:
            for match in matches:
                if match.binding.http_method in {method, ANY_METHOD}:
                    return match
        raise MethodNotAllowedError(http_method, _allow(matches))

    def find(self, http_method: str, path: str) -> Binding | None:
        """Return the binding that `match` finds, or one that refuses only the method.

        Logs and spans name requests after it: unlike a raw path, its template
        holds nothing of the caller's.
        """
        try:
            return self.match(http_method, path).binding
        except MethodNotAllowedError:
            return self._matches(path)[0].binding
        except RequestError:
            return None

    def _matches(self, path: str) -> list[Match]:
        if not path.startswith("/"):
            return []
        segments = split(path)
        found = self._matches_exactly(segments)
        if not found and len(segments) > 1 and not segments[-1]:
            return self._matches_exactly(segments[:-1])
        return found

    def _matches_exactly(self, segments: Sequence[str]) -> list[Match]:
        return [
            Match(binding, captures)
            for binding in self._bindings
            if (captures := binding.template.match_segments(segments)) is not None
        ]


def services(image: descriptor_pb2.FileDescriptorSet) -> list[ServiceDescriptor]:
    """Return the services of a descriptor set as protoc writes it with `--include_imports`."""
    pool = DescriptorPool()
    for file in image.file:
        pool.Add(file)
    files = [pool.FindFileByName(file.name) for file in image.file]
    return [service for file in files for service in file.services_by_name.values()]


def make_router(services: Iterable[ServiceDescriptor]) -> Router:
    """Make a router from the `google.api.http` rules of `services`.

    Raises RuleError, which names the method or methods, for a rule that cannot
    be served and for two that contradict each other.
    """
    return Router(binding for service in services for binding in bindings(service))


def _allow(matches: Iterable[Match]) -> list[str]:
    methods = {match.binding.http_method for match in matches}
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods | {"OPTIONS"})
