"""Rules that a transcoder must look at before it serves: which of the two takes them, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Methods of a service, whether each side starts with them, and why they differ if they do."""

    what: str
    methods: str
    envoy: bool
    ours: bool
    why: str = ""


def _get(path: str, more: str = "") -> str:
    return _rpc("A", f'get: "{path}" {more}')


def _rpc(name: str, rule: str, request: str = "Thing", response: str = "Thing") -> str:
    return (
        f"rpc {name}({request}) returns ({response}) {{ option (google.api.http) = {{ {rule} }}; }}"
    )


RULES = (
    Rule("`*`", _get("/a/*/b"), envoy=True, ours=True),
    Rule("`**` at the end", _get("/a/**"), envoy=True, ours=True),
    Rule("a verb", _get("/a/{text=b/*}:v"), envoy=True, ours=True),
    Rule("two variables", _get("/a/{text}/{inner.text}"), envoy=True, ours=True),
    Rule("no slash at the beginning", _get("a"), envoy=False, ours=False),
    Rule("an empty path", _get(""), envoy=False, ours=False),
    Rule("an empty segment", _get("/a//b"), envoy=False, ours=False),
    Rule("a slash at the end", _get("/a/"), envoy=False, ours=False),
    Rule("a variable in a variable", _get("/{text=a/{inner.text}}"), envoy=False, ours=False),
    Rule("a variable before text", _get("/{text}b"), envoy=False, ours=False),
    Rule("a variable after text", _get("/b{text}"), envoy=False, ours=False),
    Rule("a variable without a name", _get("/{}"), envoy=False, ours=False),
    Rule("a variable without segments", _get("/{text=}"), envoy=False, ours=False),
    Rule("a brace that stays open", _get("/{text"), envoy=False, ours=False),
    Rule("two verbs", _get("/a:b:c"), envoy=False, ours=False),
    Rule("nothing but a verb", _get("/:v"), envoy=False, ours=False),
    Rule("an empty verb", _get("/a:"), envoy=False, ours=False),
    Rule("`**` twice", _get("/**/**"), envoy=False, ours=False),
    Rule("`*` after `**`", _get("/**/*"), envoy=False, ours=False),
    Rule("a body that is no field", _get("/a", 'body: "nope"'), envoy=False, ours=False),
    Rule(
        "a response_body that is no field",
        _get("/a", 'response_body: "nope"'),
        envoy=False,
        ours=False,
    ),
    Rule(
        "Two methods for the same requests",
        _rpc("A", 'get: "/a/{text}"') + _rpc("B", 'get: "/a/{inner.text}"'),
        envoy=True,
        ours=False,
        why="Neither would be reached: Envoy answers 404.",
    ),
    Rule(
        "Segments after `**`",
        _get("/**/b"),
        envoy=True,
        ours=False,
        why="http.proto: `**` is the last segment, but for a verb.",
    ),
    Rule(
        "A variable for no field",
        _get("/{nope}"),
        envoy=True,
        ours=False,
        why="No request could be bound: Envoy refuses each.",
    ),
    Rule(
        "A variable for a message",
        _get("/{inner}"),
        envoy=True,
        ours=False,
        why="http.proto: path variables are primitive.",
    ),
    Rule(
        "A variable for a list",
        _get("/{texts}"),
        envoy=True,
        ours=False,
        why="http.proto: path variables are not repeated.",
    ),
    Rule(
        "A variable twice",
        _get("/{text}/{text}"),
        envoy=True,
        ours=False,
        why="Which one holds is not said anywhere.",
    ),
    Rule(
        "`additional_bindings` in `additional_bindings`",
        _get("/a", 'additional_bindings { get: "/b" additional_bindings { get: "/c" } }'),
        envoy=True,
        ours=False,
        why="http.proto: one level.",
    ),
    Rule(
        "`GET` with a body",
        _get("/a", 'body: "*"'),
        envoy=True,
        ours=False,
        why="http.proto; caches and proxies drop it (RFC 9110, 9.3.1).",
    ),
    Rule(
        "A rule without a pattern",
        _rpc("A", 'body: "*"'),
        envoy=True,
        ours=False,
        why="Somebody meant to have it served: Envoy leaves it out.",
    ),
    Rule(
        "A literal that is no URI",
        _get("/a b"),
        envoy=True,
        ours=False,
        why="No request could have it.",
    ),
    Rule(
        "A `response_body` that is no HttpBody",
        _get("/a", 'response_body: "texts"'),
        envoy=False,
        ours=True,
        why="http.proto has it, and Envoy not yet.",
    ),
    Rule(
        "A method that takes a stream",
        _rpc("A", 'post: "/a" body: "*"', request="stream Thing"),
        envoy=True,
        ours=False,
        why="A browser cannot send one and read the answer meanwhile.",
    ),
)
