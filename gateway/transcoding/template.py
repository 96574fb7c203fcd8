"""Path templates: the grammar of google/api/http.proto, and matching against it.

    Template = "/" Segments [ Verb ] ;
    Segments = Segment { "/" Segment } ;
    Segment  = "*" | "**" | LITERAL | Variable ;
    Variable = "{" FieldPath [ "=" Segments ] "}" ;
    FieldPath = IDENT { "." IDENT } ;
    Verb     = ":" LITERAL ;

Beyond the grammar, "/" alone is a template too, as it is to grpc-gateway.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gateway.transcoding.errors import InvalidRequestError, RuleError
from gateway.transcoding.escapes import decode

ANY = "*"
"""Matches one segment, which is not empty."""
REST = "**"
"""Matches all remaining segments, none included."""

# RFC 3986 `pchar`, without the `*` and `:` that the grammar takes for itself.
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+")
_FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_PART = re.compile(r"\{([^{}=]*)(?:=([^{}]*))?\}|([^{}/]*)")


@dataclass(frozen=True)
class Variable:
    """A part of the path that becomes a field: segments `start` to `end`, `end` excluded.

    `end` is None when the last of them is `**`.
    """

    field_path: str
    start: int
    end: int | None

    def value(self, segments: Sequence[str]) -> str:
        """Return what the variable captures from the raw `segments` of a matching path."""
        if self.end == self.start + 1:
            return decode(segments[self.start])
        return decode("/".join(segments[self.start : self.end]), keep_slashes=True)

    def segments(self, value: str) -> list[str]:
        """Return the raw segments that `value` is captured from."""
        if self.end == self.start + 1:
            return [quote(value, safe="")]
        return quote(value, safe="/").split("/") if value or self.end else []


@dataclass(frozen=True)
class Template:
    """A parsed path template.

    `segments` holds ANY, REST or the decoded text of a literal; `verb` is
    decoded too, and empty when there is none.
    """

    text: str
    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def shape(self) -> tuple[tuple[str, ...], str]:
        """What the template matches, whatever its variables are called."""
        return self.segments, self.verb

    @property
    def specificity(self) -> tuple[bool, tuple[int, ...]]:
        """Sorts the template that shall win where several match to the front.

        A verb wins over none; then, from the left, a literal over `*` over `**`.
        """
        ranks = {ANY: 1, REST: 2}
        return not self.verb, tuple(ranks.get(segment, 0) for segment in self.segments)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values of the variables by field path, or None if `path` does not match.

        `path` is raw, that is, still percent-encoded.

        Raises InvalidRequestError if the path holds broken escapes.
        """
        return self.match_segments(split(path))

    def match_segments(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Do as `match` does, with a path that is split already."""
        raw = list(segments)
        if self.verb:
            if not raw:
                return None
            last, colon, verb = raw[-1].rpartition(":")
            if not colon or decode(verb) != self.verb:
                return None
            raw[-1] = last
        return self.captures(raw) if self._fits(raw) else None

    def captures(self, raw: Sequence[str]) -> dict[str, str]:
        """Return the values of the variables for segments, without the verb, that match."""
        return {variable.field_path: variable.value(raw) for variable in self.variables}

    def expand(self, values: Mapping[str, str]) -> str:
        """Return the raw path that captures `values`, which are by field path: what clients do.

        Raises ValueError for values that no path has.
        """
        raw = [quote(segment, safe="") for segment in self.segments]
        for variable in reversed(self.variables):
            raw[variable.start : variable.end] = variable.segments(values[variable.field_path])
        path = "/" + "/".join(raw) + (":" + quote(self.verb, safe="") if self.verb else "")
        if self.match(path) != dict(values):
            raise ValueError(f"{self.text} has no path for {sorted(values)}")
        return path

    def _fits(self, raw: Sequence[str]) -> bool:
        expected = self.segments
        if expected and expected[-1] == REST:
            expected = expected[:-1]
            if len(raw) < len(expected):
                return False
        elif len(raw) != len(expected):
            return False
        return all(
            bool(actual) if wanted == ANY else decode(actual) == wanted
            for wanted, actual in zip(expected, raw, strict=False)
        )


def split(path: str) -> list[str]:
    """Return the raw segments of a raw path; "/" has none."""
    rest = path.removeprefix("/")
    return rest.split("/") if rest else []


def parse(text: str) -> Template:
    """Parse a path template. Raises RuleError, which quotes the template, if it is none."""
    if not text.startswith("/"):
        raise _invalid(text, "it does not begin with a slash")
    body, verb = _split_verb(text)
    segments: list[str] = []
    variables: list[Variable] = []
    for field_path, pattern in _parts(text, body):
        start = len(segments)
        segments += [_segment(text, segment) for segment in pattern.split("/")]
        if field_path:
            if any(field_path == other.field_path for other in variables):
                raise _invalid(text, f"it has {field_path} twice")
            end = None if segments[-1] == REST else len(segments)
            variables.append(Variable(field_path, start, end))
    if REST in segments[:-1]:
        raise _invalid(text, "** is not its last segment")
    return Template(text, tuple(segments), tuple(variables), verb)


def _split_verb(text: str) -> tuple[str, str]:
    body, colon, verb = text[1:].rpartition(":")
    if not colon or "}" in verb or "/" in verb:
        return text[1:], ""
    if not body:
        raise _invalid(text, "it is nothing but a verb")
    return body, _literal(text, verb)


def _parts(text: str, body: str) -> list[tuple[str, str]]:
    """Return (field path, segments) of each variable, and ("", segment) of the rest."""
    parts: list[tuple[str, str]] = []
    position = 0
    while body:
        found = _PART.match(body, position)
        if found is None or found.end() == position:
            raise _invalid(text, "it has an empty segment or a stray brace")
        name, pattern, plain = found.groups()
        if name is not None and not _FIELD_PATH.fullmatch(name):
            raise _invalid(text, f"{name!r} is not a field path")
        parts.append((name or "", ANY if name and pattern is None else pattern or plain or ""))
        position = found.end()
        if position == len(body):
            break
        if body[position] != "/":
            raise _invalid(text, "a variable is not a segment of its own")
        position += 1
    return parts


def _segment(text: str, segment: str) -> str:
    return segment if segment in {ANY, REST} else _literal(text, segment)


def _literal(text: str, literal: str) -> str:
    if not _LITERAL.fullmatch(literal):
        raise _invalid(text, f"{literal!r} is not a literal")
    try:
        return decode(literal)
    except InvalidRequestError:
        raise _invalid(text, f"{literal!r} is not UTF-8") from None


def _invalid(text: str, why: str) -> RuleError:
    return RuleError(f"{text!r} is not a path template: {why}")
