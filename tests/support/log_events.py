"""What our code logs, read out of it: names of events, their levels and fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
ROOMS = ("serving", "gateway", "policy", "tokenservice")
_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "exception": "error",
}
# Functions of ours that log what they are given, under the name that they are given.
_TELLERS = {"announce", "_tell"}
_LOSSES = ("{} drops {}", "{} keeps {} again", "{} ends")


@dataclass
class Event:
    """All that is said under one name."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of ours that has a logger, by its name."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "structlog.get_logger(" in text:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                yield name.removesuffix(".__init__"), ast.parse(text)


def events() -> tuple[dict[str, Event], set[str]]:
    """Return the events by their names, and where something is logged under no name of ours."""
    found: dict[str, Event] = {}
    unnamed: set[str] = set()
    trees = dict(modules())
    for module, tree in trees.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            _read(module, call, found, unnamed, trees)
    for loser, lost in _losers():
        for form, level in zip(_LOSSES, ("warning", "info", "warning"), strict=True):
            event = found.setdefault(form.format(loser, lost), Event())
            event.levels.add(level)
            event.fields |= {"dropped"} | ({"cause"} if "drops" in form else set())
    return found, unnamed


def _read(
    module: str,
    call: ast.Call,
    found: dict[str, Event],
    unnamed: set[str],
    trees: Mapping[str, ast.Module],
) -> None:
    levels, teller = set(_called(call.func)), _name(call.func)
    if not levels and teller not in _TELLERS:
        return
    name = call.args[0] if call.args else None
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        event = found.setdefault(name.value, Event())
        event.levels |= levels or {"info"}
        event.fields |= set(_fields(call, module))
        if not levels:
            event.fields |= _told(teller, module, trees)
    elif levels:
        unnamed.add(module)


def _called(function: ast.expr) -> Iterator[str]:
    """Yield the levels of what is called: `log.info`, one of two, or `tell`, which is either."""
    match function:
        case ast.Attribute(ast.Name("log"), name) if name in _LEVELS:
            yield _LEVELS[name]
        case ast.Attribute(ast.Call(ast.Attribute(attr="get_logger")), name) if name in _LEVELS:
            yield _LEVELS[name]
        case ast.IfExp(body=body, orelse=other):
            yield from (*_called(body), *_called(other))
        case ast.Name("tell"):
            yield from ("info", "warning")


def _fields(call: ast.Call, module: str) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == "exc_info":  # shown as every error is
            continue
        if keyword.arg is not None:
            yield keyword.arg
            continue
        given = [node for node in ast.walk(keyword.value) if isinstance(node, ast.Dict)]
        assert given, f"{module}: line {call.lineno}: fields that cannot be read"
        for each in given:
            yield from (str(key.value) for key in each.keys if isinstance(key, ast.Constant))


def _told(teller: str, module: str, trees: Mapping[str, ast.Module]) -> set[str]:
    """Return the fields that a teller adds to all that it tells."""
    functions = [
        (each, node)
        for each, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == teller
    ]
    defined, function = next((f for f in functions if f[0] == module), functions[0])
    fields: set[str] = set()
    for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
        within = _name(call.func)
        if list(_called(call.func)):
            passed = [k for k in call.keywords if k.arg or not isinstance(k.value, ast.Name)]
            own = ast.Call(call.func, call.args, passed, lineno=call.lineno)
            fields |= set(_fields(own, defined))
        elif within in _TELLERS and within != teller:
            fields |= set(_fields(call, defined)) | _told(within, defined, trees)
    return fields


def _name(function: ast.expr) -> str:
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _losers() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        ast.Name("Losses"), [ast.Constant(str(a)), ast.Constant(str(b)), *_]
                    ):
                        yield a, b
