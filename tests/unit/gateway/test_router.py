"""Routers: which rules are served, which are refused, and which one answers."""

from collections.abc import Callable

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from gateway import transcoding
from gateway.transcoding.errors import (
    MethodNotAllowedError,
    RuleError,
    UnknownPathError,
)
from gateway.transcoding.router import Router, make_router

Compile = Callable[[str], ServiceDescriptor]


def rpc(name: str, rule: str, *, stream: str = "") -> str:
    """Return the proto text of a method with a rule."""
    return (
        f"rpc {name}(Thing) returns ({stream} Thing) {{ option (google.api.http) = {{{rule}}}; }}"
    )


@pytest.mark.parametrize(
    "method, path, name, captures",
    [
        ("GET", "/v1/shelves/1/books/2", "GetBook", {"name": "shelves/1/books/2"}),
        ("GET", "/v1/shelves/1/books/2/", "GetBook", {"name": "shelves/1/books/2"}),
        ("HEAD", "/v1/shelves/1/books/2", "GetBook", {"name": "shelves/1/books/2"}),
        ("GET", "/v1/books/2", "GetBook", {"name": "2"}),
        ("GET", "/v1/shelves/1/books", "ListBooks", {"text": "shelves/1"}),
        ("POST", "/v1/shelves/1/books", "CreateBook", {"parent": "shelves/1"}),
        ("PATCH", "/v1/shelves/1/books/2", "UpdateBook", {"book.name": "shelves/1/books/2"}),
        ("POST", "/v1/shelves/1/books/2:move", "MoveBook", {"text": "shelves/1/books/2"}),
        ("PUT", "/v1/shelves/1/books/2/tags", "TagBook", {"text": "shelves/1/books/2"}),
        ("GET", "/v1/files/a/b/c", "ReadFile", {"name": "a/b/c"}),
        ("GET", "/v1/files", "ReadFile", {"name": ""}),
        ("PURGE", "/v1/cache/x", "Purge", {"name": "x"}),
        ("ANYTHING", "/pages/x", "Page", {"name": "x"}),
    ],
)
def test_finds_the_method(
    library_router: Router, method: str, path: str, name: str, captures: dict[str, str]
) -> None:
    """Each verb, custom ones too, and each additional binding leads to its method."""
    match = library_router.match(method, path)
    assert (match.binding.rpc.name, match.captures) == (name, captures)


@pytest.mark.parametrize(
    "path", ["/", "", "*", "x", "/v2", "/v1/books", "/v1/books/", "/v1/books/x//", "/v1//books"]
)
def test_unknown_paths(library_router: Router, path: str) -> None:
    """A path that no rule has is unknown, whatever the method."""
    with pytest.raises(UnknownPathError):
        library_router.match("GET", path)
    assert library_router.find("GET", path) is None


@pytest.mark.parametrize(
    "method, path, allow",
    [
        ("DELETE", "/v1/shelves/1/books", ("GET", "HEAD", "OPTIONS", "POST")),
        ("HEAD", "/v1/cache/x", ("OPTIONS", "PURGE")),
        ("get", "/v1/books/2", ("GET", "HEAD", "OPTIONS")),
    ],
)
def test_wrong_methods(
    library_router: Router, method: str, path: str, allow: tuple[str, ...]
) -> None:
    """A known path with a wrong method tells which methods are right."""
    with pytest.raises(MethodNotAllowedError) as refused:
        library_router.match(method, path)
    assert refused.value.allow == allow
    assert library_router.find(method, path) is not None


def test_methods_without_rules_are_not_served(library: ServiceDescriptor) -> None:
    """Only what has a rule is on the web."""
    router = make_router([library])
    with pytest.raises(UnknownPathError):
        router.match("POST", "/library.v1.Library/NotOnTheWeb")


def test_the_most_specific_rule_answers(compile_service: Compile) -> None:
    """Where several templates match, order in the file does not matter."""
    router = make_router(
        [
            compile_service(
                rpc("Rest", 'get: "/v1/{name=**}"')
                + rpc("One", 'get: "/v1/{name}"')
                + rpc("Fixed", 'get: "/v1/fixed"')
                + rpc("Verb", 'get: "/v1/{name}:go"')
                + rpc("Open", 'custom {kind: "*" path: "/v1/fixed"}')
            )
        ]
    )
    found = {
        path: router.match("GET", path).binding.rpc.name
        for path in ("/v1/a/b", "/v1/a", "/v1/fixed", "/v1/a:go", "/v1/fixed/")
    }
    assert list(found.values()) == ["Rest", "One", "Fixed", "Verb", "Rest"]
    assert router.match("POST", "/v1/fixed").binding.rpc.name == "Open"


@pytest.mark.parametrize(
    "first, second",
    [
        ('get: "/v1/a"', 'get: "/v1/a"'),
        ('get: "/v1/{name}"', 'get: "/v1/{inner.name}"'),
        ('get: "/v1/{name=a/*}/b"', 'get: "/v1/a/{name}/b"'),
        ('get: "/v1/a:go"', 'get: "/v1/%61:go"'),
        ('get: "/v1/{name=**}"', 'get: "/v1/**"'),
        ('get: "/v1/{name=x/*}"', 'get: "/v1/x/{inner.name}"'),
        ('custom {kind: "*" path: "/v1"}', 'custom {kind: "*" path: "/v1"}'),
        ('get: "/v1/x" additional_bindings {post: "/v1/y"}', 'post: "/v1/y"'),
    ],
)
def test_contradicting_rules_name_both_methods(
    compile_service: Compile, first: str, second: str
) -> None:
    """Two rules that would answer the same requests stop the start."""
    service = compile_service(rpc("First", first) + rpc("Second", second))
    with pytest.raises(RuleError, match=r"Things\.First .* and .*Things\.Second"):
        make_router([service])


@pytest.mark.parametrize(
    "rule",
    [
        "",
        'get: ""',
        'get: "/v1/{missing}"',
        'get: "/v1/{names}"',
        'get: "/v1/{labels}"',
        'get: "/v1/{inner}"',
        'get: "/v1/{inners.name}"',
        'get: "/v1/{name.inner}"',
        'get: "/v1/{inner.missing}"',
        'get: "/v1/{name" ',
        'get: "/v1/{first}/{second}"',
        'get: "/v1/{inner.first}/{inner.second}"',
        'get: "/v1/{either.name}/{or.name}"',
        'post: "/v1/{name}" body: "name"',
        'post: "/v1/{first}" body: "second"',
        'post: "/v1/{either.name}" body: "first"',
        'get: "/v1" selector: "other.v1.Service.Method"',
        'custom {kind: "GET IT" path: "/v1"}',
        'get: "/v1" body: "*"',
        'post: "/v1" body: "missing"',
        'post: "/v1" body: "inner.name"',
        'post: "/v1" response_body: "missing"',
        'custom {path: "/v1"}',
        'get: "/v1" additional_bindings {get: "/v2" additional_bindings {get: "/v3"}}',
    ],
)
def test_impossible_rules_name_the_method(compile_service: Compile, rule: str) -> None:
    """A rule that refers to nothing, or to what cannot be, stops the start."""
    with pytest.raises(RuleError, match=r"thing\.v1\.Things\.Odd"):
        make_router([compile_service(rpc("Odd", rule))])


def test_methods_that_take_streams_are_refused(compile_service: Compile) -> None:
    """A rule on a method that takes a stream stops the start; it does not vanish."""
    service = compile_service(
        'rpc Talk(stream Thing) returns (Thing) { option (google.api.http) = {post: "/v1"}; }'
    )
    with pytest.raises(RuleError, match=r"Things\.Talk: .*takes a stream"):
        make_router([service])


def test_the_leftmost_difference_decides(compile_service: Compile) -> None:
    """Templates that overlap are no contradiction: a literal further left goes before."""
    router = make_router(
        [
            compile_service(
                rpc("Late", 'get: "/v1/{name}/x"')
                + rpc("Early", 'get: "/v1/y/{name}"')
                + rpc("Rest", 'get: "/v1/y/{name=**}"')
                + rpc("Post", 'post: "/v1/y/x" body: "*"')
            )
        ]
    )
    paths = {"/v1/y/x": "Early", "/v1/z/x": "Late", "/v1/y/x/z": "Rest", "/v1/%79/%78": "Early"}
    for path, name in paths.items():
        assert router.match("GET", path).binding.rpc.name == name
    assert router.match("POST", "/v1/y/x").binding.rpc.name == "Post"


def test_what_may_be_in_a_rule(compile_service: Compile) -> None:
    """What grpc-gateway takes beside http.proto's letter is taken, and what is harmless."""
    service = compile_service(
        rpc("All", 'get: "/v1" response_body: "*"')
        + rpc("Remove", 'delete: "/v1" body: "*" selector: "thing.v1.Things.Remove"')
        + rpc("Inner", 'post: "/v2/{inner.name}" body: "inner"')
        + rpc("Root", 'get: "/"')
    )
    bindings = {one.rpc.name: one for one in make_router([service]).bindings}
    assert list(bindings) == ["All", "Remove", "Inner", "Root"]
    assert bindings["All"].response_body is None
    assert make_router([service]).match("GET", "/").binding is not None


def test_methods_without_rules_by_choice(library: ServiceDescriptor) -> None:
    """With auto_mapping, a method without a rule is POST /package.Service/Method."""
    router = make_router([library], auto_mapping=True)
    match = router.match("POST", "/library.v1.Library/NotOnTheWeb")
    assert (match.binding.rpc.name, match.binding.body) == ("NotOnTheWeb", "*")
    with pytest.raises(UnknownPathError):
        router.match("POST", "/library.v1.Library/GetBook")


def test_the_parts_by_themselves(library: ServiceDescriptor) -> None:
    """What docs/transcoding.md shows of the library's parts is so."""
    router = transcoding.make_router([library])
    match = router.match("GET", "/v1/shelves/1/books/2")
    request = transcoding.bind(match)
    assert str(request).strip() == 'name: "shelves/1/books/2"'
    assert transcoding.render(match.binding, match.binding.response_class())
    template = transcoding.parse_template("/v1/{name=shelves/*/books/*}:move")
    values = {"name": "shelves/1/books/2"}
    assert template.match("/v1/shelves/1/books/2:move") == values
    assert template.expand(values) == "/v1/shelves/1/books/2:move"
    with pytest.raises(ValueError, match="no path"):
        template.expand({"name": "other/1"})
    assert all(hasattr(transcoding, name) for name in transcoding.__all__)
