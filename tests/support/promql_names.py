"""Which time series and labels a query in PromQL names: its words, told apart, and no more.

Whether it is well formed, promtool says. `$variables` of Grafana stand in strings and in
ranges alone, where nothing is looked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<range>\[[^\]]*\])"
    r"|(?P<duration>\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*(?![\w]))"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r"|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},@])"
    r"|(?P<space>\s+)"
)
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_KEYWORDS = _LISTS | {"and", "or", "unless", "offset", "bool", "inf", "nan"}
_CALLED = {"(", "by", "without"}
"""What stands behind a function or an aggregation."""


@dataclass
class Names:
    """What a query names."""

    selectors: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each series that is selected, with its matchers: label → value, as it is written."""
    grouping: set[str] = field(default_factory=set)
    """Labels that something is aggregated by or matched on."""


def names_in(query: str) -> Names:
    """Return what `query` names.

    Raises:
        ValueError: It has something in it that no query has.

    """
    tokens = [*_tokens(query), ("end", "")]
    found, at = Names(), 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "word" and text in _LISTS and following == "(":
            labels, at = _list(tokens, at + 2)
            found.grouping |= labels
        elif kind == "word" and following not in _CALLED and text.lower() not in _KEYWORDS:
            matchers: dict[str, str] = {}
            if following == "{":
                matchers, at = _matchers(tokens, at + 2)
            found.selectors.append((text, matchers))
        elif text == "{":
            raise ValueError(f"a selector without a name: {query}")
        at += 1
    return found


def _tokens(query: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(query):
        token = _TOKEN.match(query, at)
        if token is None:
            raise ValueError(f"no PromQL at {at}: {query}")
        if token.lastgroup not in {"space", "comment"}:
            found.append((str(token.lastgroup), token[0]))
        at = token.end()
    return found


def _list(tokens: list[tuple[str, str]], at: int) -> tuple[set[str], int]:
    labels = set()
    while tokens[at][1] != ")":
        if tokens[at][0] == "word":
            labels.add(tokens[at][1])
        at += 1
    return labels, at


def _matchers(tokens: list[tuple[str, str]], at: int) -> tuple[dict[str, str], int]:
    matchers = {}
    while tokens[at][1] != "}":
        if tokens[at][0] == "word":
            matchers[tokens[at][1]] = tokens[at + 2][1][1:-1]
            at += 2
        at += 1
    return matchers, at
