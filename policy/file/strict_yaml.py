"""YAML without its surprises, and with the line of everything in it.

JSON's types and no others, as in YAML 1.2: `off` is text, `010` and `60:00` are
no numbers. No key twice, no aliases, no tags, no depth that a stack fears.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 262_144
_MAX_DEPTH = 16
_TAG = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


class YamlError(Exception):
    """The text cannot be read; `problems` are a line, or None, and a sentence each."""

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        """Tell of `problems`."""
        super().__init__("; ".join(sentence for _, sentence in problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Document:
    """What a text says."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    """Where each thing in it begins: under its key, if it has one."""

    def line(self, path: Path) -> int | None:
        """Return the line of what is at `path`, or of what is nearest around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._problem("must not use aliases: write it out")
        if self._depth == _MAX_DEPTH:
            raise self._problem(f"must not be nested more than {_MAX_DEPTH} deep")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def _problem(self, sentence: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=sentence, problem_mark=self.get_mark())


for _kind, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:0|[1-9][0-9]{0,17})?(?:\.[0-9]+|(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)


def read(text: str) -> Document:
    """Return what `text` says, or raise YamlError with all that is wrong with it."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise YamlError([(None, f"must not be longer than {MAX_BYTES} bytes")])
    try:
        root = _root(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        sentence = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlError([(mark.line + 1 if mark else None, sentence)]) from error
    except yaml.YAMLError as error:
        raise YamlError([(None, " ".join(str(error).split()))]) from error
    document, problems = Document(), list[tuple[int | None, str]]()
    if root is not None:
        document.value = _value(root, (), document.lines, problems)
    if problems:
        raise YamlError(problems)
    return document


def _root(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


def _value(
    node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[tuple[int | None, str]]
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    match node:
        case yaml.ScalarNode():
            return _scalar(node, line, problems)
        case yaml.SequenceNode(tag=tag) if tag == f"{_TAG}seq":
            return [
                _value(item, (*path, place), lines, problems)
                for place, item in enumerate(node.value)
            ]
        case yaml.MappingNode(tag=tag) if tag == f"{_TAG}map":
            return _mapping(node, path, lines, problems)
        case _:
            problems.append((line, "must not have a tag"))
            return None


def _mapping(
    node: yaml.MappingNode,
    path: Path,
    lines: dict[Path, int],
    problems: list[tuple[int | None, str]],
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag != f"{_TAG}str":
            problems.append((line, "must have keys that are text"))
            continue
        key = key_node.value
        if key in mapping:
            first = lines[*path, key]
            problems.append((line, f"must not say {key!r} again, after line {first}"))
            continue
        lines[*path, key] = line
        mapping[key] = _value(value_node, (*path, key), lines, problems)
    return mapping


def _scalar(node: yaml.ScalarNode, line: int, problems: list[tuple[int | None, str]]) -> Any:
    text = node.value
    try:
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return {"true": True, "false": False}[text]
            case "int":
                return int(text)
            case "float":
                return float(text)
    except (ValueError, KeyError):
        pass  # a tag that its text does not fit
    problems.append((line, "must not have a tag"))
    return None
