"""Path templates: what is one, and which paths match it."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st

from gateway.transcoding import template
from gateway.transcoding.errors import InvalidRequestError, RuleError


@pytest.mark.parametrize(
    "text, segments, verb",
    [
        ("/", (), ""),
        ("/v1", ("v1",), ""),
        ("/v1/*/**", ("v1", "*", "**"), ""),
        ("/v1/{name}", ("v1", "*"), ""),
        ("/v1/{name=shelves/*}/books", ("v1", "shelves", "*", "books"), ""),
        ("/v1/{a.b.c=x/**}:verb", ("v1", "x", "**"), "verb"),
        ("/v1/books:batchGet", ("v1", "books"), "batchGet"),
        ("/caf%C3%A9/a-b.c_d~e", ("café", "a-b.c_d~e"), ""),
    ],
)
def test_parses_the_grammar(text: str, segments: tuple[str, ...], verb: str) -> None:
    """Every form of http.proto's grammar is read."""
    assert template.parse(text).shape == (segments, verb)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1",
        "//",
        "/v1/",
        "/v1//x",
        "/v1/{}",
        "/v1/{=x}",
        "/v1/{name=}",
        "/v1/{name",
        "/v1/name}",
        "/v1/{a}{b}",
        "/v1/{a}b",
        "/v1/a{b}",
        "/v1/{a={b}}",
        "/v1/{a=x/{b}}",
        "/v1/{1a}",
        "/v1/{a..b}",
        "/v1/{a=/x}",
        "/v1/{a=x/}",
        "/v1/**/x",
        "/v1/{a=**}/x",
        "/v1/{a=**/x}",
        "/v1/***",
        "/v1/a*",
        "/v1/x:",
        "/:verb",
        "/v1/x:a:b",
        "/v1/a:b/c",
        "/v1/{a}/{a}",
        "/v1/%zz",
        "/v1/%ff",
        "/v1/a b",
        "/v1/ü",
        "/v1/x?y",
    ],
)
def test_refuses_what_is_no_template(text: str) -> None:
    """A template outside the grammar is refused with a message that quotes it."""
    with pytest.raises(RuleError) as refused:
        template.parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "text, path, captured",
    [
        ("/", "/", {}),
        ("/v1", "/v1", {}),
        ("/v1/*", "/v1/x", {}),
        ("/v1/{name}", "/v1/x", {"name": "x"}),
        ("/v1/{name}", "/v1/a%2Fb%20c", {"name": "a/b c"}),
        ("/v1/{name}", "/v1/x:y", {"name": "x:y"}),
        ("/v1/{name=a/*}", "/v1/a/b%2fc%20d", {"name": "a/b%2fc d"}),
        ("/v1/{name=a/*}", "/v1/a/%C3%A9", {"name": "a/é"}),
        ("/v1/{name=**}", "/v1", {"name": ""}),
        ("/v1/{name=**}", "/v1/a/b%2Fc", {"name": "a/b%2Fc"}),
        ("/v1/{name=**}", "/v1/a//b/", {"name": "a//b/"}),
        ("/v1/{name=a}", "/v1/a", {"name": "a"}),
        ("/v1/{a}/x/{b.c}", "/v1/1/x/2", {"a": "1", "b.c": "2"}),
        ("/v1/{name}:go", "/v1/x:go", {"name": "x"}),
        ("/v1/{name}:go", "/v1/a:b:go", {"name": "a:b"}),
        ("/v1/{name=**}:go", "/v1/a/b:go", {"name": "a/b"}),
        ("/v1/x:go", "/v1/x:g%6F", {}),
        ("/caf%C3%A9", "/caf%c3%a9", {}),
        ("/v1/%61", "/v1/a", {}),
    ],
)
def test_matches(text: str, path: str, captured: dict[str, str]) -> None:
    """A path matches its template, and variables are decoded as http.proto says."""
    assert template.parse(text).match(path) == captured


@pytest.mark.parametrize(
    "text, path",
    [
        ("/", "/v1"),
        ("/v1", "/"),
        ("/v1", "/v1/"),
        ("/v1", "/V1"),
        ("/v1", "/v1/x"),
        ("/v1/*", "/v1"),
        ("/v1/*", "/v1/"),
        ("/v1/*", "/v1/a/b"),
        ("/v1/{name=a/*}", "/v1/b/c"),
        ("/v1/x/**", "/v1"),
        ("/v1/{name}:go", "/v1/x"),
        ("/v1/{name}:go", "/v1/:go"),
        ("/v1/{name}:go", "/v1/x%3Ago"),
        ("/v1/{name}:go", "/"),
    ],
)
def test_does_not_match(text: str, path: str) -> None:
    """A path that differs from its template in length, text or verb does not match."""
    assert template.parse(text).match(path) is None


@pytest.mark.parametrize("path", ["/v1/%", "/v1/%4", "/v1/%zz", "/v1/%ff", "/v1/\xe9"])
def test_broken_escapes_are_the_callers_fault(path: str) -> None:
    """A path that cannot be decoded as UTF-8 is refused, not guessed at."""
    with pytest.raises(InvalidRequestError):
        template.parse("/v1/{name}").match(path)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_single_segments_survive_the_journey(value: str) -> None:
    """What a client percent-encodes into one segment arrives as it was."""
    assert template.parse("/v1/{name}").match("/v1/" + quote(value, safe="")) == {"name": value}


@settings(deadline=None)
@given(st.lists(st.text("ab%2F é~", min_size=1), min_size=1))
def test_many_segments_survive_the_journey(values: list[str]) -> None:
    """What a client percent-encodes into several segments arrives, slashes apart, as it was."""
    path = "/".join(quote(value, safe="") for value in values)
    assert template.parse("/v1/{name=**}").match("/v1/" + path) == {"name": "/".join(values)}


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    """The parser ends in a template or a RuleError, whatever the text."""
    with suppress(RuleError):
        assert template.parse(text).text == text


@pytest.mark.parametrize(
    "ordered",
    [
        ["/a/b:v", "/a/b", "/a/*", "/a/**", "/*/b", "/*/*", "/**"],
        ["/a", "/a/**"],
    ],
)
def test_specificity(ordered: list[str]) -> None:
    """Verbs go first; then, from the left, literals before * before **."""
    templates = [template.parse(text) for text in reversed(ordered)]
    assert [t.text for t in sorted(templates, key=lambda t: t.specificity)] == ordered
