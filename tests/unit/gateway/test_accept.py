"""`Accept`: what a client takes, as RFC 9110 says, and something for whoever cannot say it."""

import string

import pytest
from hypothesis import given, strategies as st

from gateway.transcoding import accept

JSON = "application/json"


@pytest.mark.parametrize(
    "value, quality",
    [
        ("application/json", 1.0),
        ("Application/JSON", 1.0),
        ("application/*", 1.0),
        ("*/*", 1.0),
        ("application/json;charset=utf-8", 1.0),
        ('application/json; x="a,b;c"; q=0.5', 0.5),
        ("application/json ; Q=0.25", 0.25),
        ("application/json;q=1.000", 1.0),
        ("application/json;q=0", 0.0),
        ("application/json;q=0.000, */*", 0.0),
        ("application/*;q=0, */*;q=1", 0.0),
        ("*/*;q=0, application/*;q=0.1", 0.1),
        ("*/*;q=0.1, application/json;q=0.7, application/*;q=0.9", 0.7),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 0.8),
        ("text/html", 0.0),
        ("text/*", 0.0),
        ("application/jsonx, application/json+x", 0.0),
        (" , application/json,, ,", 1.0),
        ("text/html;q=0.5;x=y", 0.0),
    ],
)
def test_the_closest_range_decides(value: str, quality: float) -> None:
    """The range that means a type most closely says how gladly it is taken, wherever it stands."""
    assert accept.quality(accept.parse([value]), JSON) == quality


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "json",
        "*/json",
        "text/html text/plain",
        "text/html;q=2",
        "text/html;q=-1",
        "text/html;q=0.1234",
        "text/html;q=",
        "text/html;q=x",
        "text/",
        "/html",
        "text/html; =x",
        'text/html;x="y',
        "text/html@",
        "\xff",
    ],
)
def test_a_malformed_header_means_anything(value: str) -> None:
    """A client that cannot say what it takes gets something; so does one that says nothing."""
    assert accept.parse([value]) == accept.parse([]) == accept.ANYTHING


def test_lines_are_one_list() -> None:
    """A header on several lines is one header."""
    ranges = accept.parse(["text/html", "application/json;q=0.5"])
    assert accept.quality(ranges, JSON) == 0.5


def test_naming_is_more_than_taking() -> None:
    """A type is named by itself alone, not by a range that contains it."""
    assert accept.names(accept.parse(["text/html, application/json"]), JSON)
    assert not accept.names(accept.parse(["application/*, */*"]), JSON)


@given(st.text(alphabet=string.printable + "é", max_size=200))
def test_nothing_breaks_the_parser(value: str) -> None:
    """Whatever is sent, there is an answer, and a quality from 0 to 1."""
    assert 0 <= accept.quality(accept.parse([value]), JSON) <= 1
