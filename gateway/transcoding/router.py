"""Find the RPC for an HTTP method and path."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.transcoding.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    RuleError,
    UnknownPathError,
)
from gateway.transcoding.escapes import decode
from gateway.transcoding.rules import ANY_METHOD, Binding, bindings
from gateway.transcoding.template import ANY, REST, split


@dataclass(frozen=True)
class Match:
    """A binding, and what its path variables captured, by field path."""

    binding: Binding
    captures: Mapping[str, str]


@dataclass
class _Node:
    """Where the templates with the same first segments go on.

    `ends` and `rests` have, by verb and HTTP method, the bindings whose
    templates end here, and those that take all that is left with `**`.
    """

    literals: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None
    ends: dict[str, dict[str, Binding]] = field(default_factory=dict)
    rests: dict[str, dict[str, Binding]] = field(default_factory=dict)

    def step(self, segment: str) -> "_Node":
        """Return the node behind a segment of a template, a new one if there is none."""
        if segment != ANY:
            return self.literals.setdefault(segment, _Node())
        if self.any is None:
            self.any = _Node()
        return self.any


@dataclass(frozen=True, slots=True)
class _Path:
    """A path: its `segments` raw and decoded, with nothing of the verb but its name."""

    raw: Sequence[str]
    decoded: Sequence[str]
    verb: str = ""


class Router:
    """Bindings by what they match; what it costs does not grow with their number.

    Where several templates match a path, one with a verb goes before one
    without; then, at the first segment from the left in which two differ, a
    literal before `*`, and `*` before `**`. An HTTP method before a custom
    pattern for any.

    Raises RuleError, naming both methods, if two bindings would answer the same requests.
    """

    def __init__(self, all_bindings: Iterable[Binding]) -> None:
        self._root = _Node()
        self._verbs: set[str] = set()
        self._bindings: list[Binding] = []
        for binding in all_bindings:
            self._add(binding)

    @property
    def bindings(self) -> Sequence[Binding]:
        """All bindings, in the order of their files."""
        return tuple(self._bindings)

    def match(self, http_method: str, path: str) -> Match:
        """Return the most specific binding for a raw, still percent-encoded path.

        A trailing slash makes no difference, and HEAD is answered as GET
        (RFC 9110, 9.3.2) unless a rule says otherwise.

        Raises UnknownPathError, MethodNotAllowedError, and InvalidRequestError
        for a path that cannot be decoded.
        """
        found = self._found(path)
        wanted = (http_method, "GET") if http_method == "HEAD" else (http_method,)
        for method in wanted:
            for at, by_method in found:
                binding = by_method.get(method) or by_method.get(ANY_METHOD)
                if binding is not None:
                    return Match(binding, binding.template.captures(at.raw))
        if not found:
            raise UnknownPathError
        methods = {method for _, by_method in found for method in by_method}
        raise MethodNotAllowedError(http_method, _allow(methods))

    def find(self, http_method: str, path: str) -> Binding | None:
        """Return the binding that `match` finds, or one that refuses only the method.

        Logs and spans name requests after it: unlike a raw path, its template
        holds nothing of the caller's.
        """
        try:
            return self.match(http_method, path).binding
        except MethodNotAllowedError:
            _, by_method = self._found(path)[0]
            return next(iter(by_method.values()))
        except (UnknownPathError, InvalidRequestError):
            return None

    def _add(self, binding: Binding) -> None:
        template = binding.template
        *segments, last = template.segments or ("",)
        node = self._root
        for segment in segments:
            node = node.step(segment)
        if last and last != REST:
            node = node.step(last)
        place = node.rests if last == REST else node.ends
        by_method = place.setdefault(template.verb, {})
        other = by_method.setdefault(binding.http_method, binding)
        if other is not binding:
            raise RuleError(f"{other} and {binding} answer the same requests")
        self._bindings.append(binding)
        if template.verb:
            self._verbs.add(template.verb)

    def _found(self, path: str) -> list[tuple[_Path, dict[str, Binding]]]:
        """Return the bindings of every template that matches, the most specific first."""
        if not path.startswith("/"):
            return []
        raw = split(path)
        decoded = raw if "%" not in path and path.isascii() else [decode(one) for one in raw]
        found = list(self._matches(raw, decoded))
        if not found and len(raw) > 1 and not raw[-1]:
            return list(self._matches(raw[:-1], decoded[:-1]))
        return found

    def _matches(
        self, raw: Sequence[str], decoded: Sequence[str]
    ) -> Iterator[tuple[_Path, dict[str, Binding]]]:
        if self._verbs and raw:
            last, colon, verb = raw[-1].rpartition(":")
            if colon and (name := decode(verb)) in self._verbs:
                at = _Path([*raw[:-1], last], [*decoded[:-1], decode(last)], name)
                yield from ((at, each) for each in _walk(self._root, at, 0))
        at = _Path(raw, decoded)
        yield from ((at, each) for each in _walk(self._root, at, 0))


def _walk(node: _Node, path: _Path, position: int) -> Iterator[dict[str, Binding]]:
    if position == len(path.raw):
        if path.verb in node.ends:
            yield node.ends[path.verb]
    else:
        literal = node.literals.get(path.decoded[position])
        if literal is not None:
            yield from _walk(literal, path, position + 1)
        if node.any is not None and path.raw[position]:
            yield from _walk(node.any, path, position + 1)
    if path.verb in node.rests:
        yield node.rests[path.verb]


def services(image: descriptor_pb2.FileDescriptorSet) -> list[ServiceDescriptor]:
    """Return the services of a descriptor set as protoc writes it with `--include_imports`.

    Raises RuleError for a set that lacks an import, or does not hold together.
    """
    pool = DescriptorPool()
    try:
        for file in image.file:
            pool.Add(file)
        files = [pool.FindFileByName(file.name) for file in image.file]
    except (TypeError, KeyError) as error:
        raise RuleError(f"the descriptor set is not complete: {error}") from error
    return [service for file in files for service in file.services_by_name.values()]


def make_router(services: Iterable[ServiceDescriptor], *, auto_mapping: bool = False) -> Router:
    """Make a router from the `google.api.http` rules of `services`.

    With `auto_mapping`, methods without rules are served as
    `POST /package.Service/Method`.

    Raises RuleError, which names the method or methods, for a rule that cannot
    be served and for two that contradict each other.
    """
    return Router(
        binding for service in services for binding in bindings(service, auto_mapping=auto_mapping)
    )


def _allow(methods: set[str]) -> list[str]:
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
