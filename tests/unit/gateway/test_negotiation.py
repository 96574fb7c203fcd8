"""Which form of an answer a client gets, by its Accept."""

import pytest
from starlette.datastructures import Headers

from gateway import negotiation
from gateway.transcoding.errors import NotAcceptableError

BOTH = "application/json, application/problem+json"


def accepting(*values: str) -> Headers:
    """Return headers with these Accept lines."""
    return Headers(raw=[(b"accept", value.encode("latin-1")) for value in values])


@pytest.mark.parametrize(
    "value, wanted",
    [
        ("application/problem+json", True),
        ("Application/Problem+JSON", True),
        (BOTH, True),
        ("application/problem+json, application/json;q=0.9", True),
        ("application/problem+json;q=0.5, application/json;q=0.5", True),
        ("application/problem+json, */*", True),
        ("application/problem+json, */*;q=0.1", True),
        ("application/problem+json;q=0.9, application/json", False),
        ("application/problem+json;q=0.8, */*", False),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=0, application/json;q=0", False),
        ("application/json", False),
        ("application/*", False),
        ("*/*", False),
        ("", False),
        ("text/html", False),
        ("application/problem+xml, */*", False),
        ("application/problem+json;q=2", False),
    ],
)
def test_problem_details_are_for_who_names_them(value: str, *, wanted: bool) -> None:
    """Who names problem details and likes them no less than JSON has them, and nobody else."""
    assert negotiation.wants_problem(accepting(value)) is wanted


def test_lines_count_together() -> None:
    """Accept on several lines is one list."""
    assert negotiation.wants_problem(accepting("application/json", "application/problem+json"))
    negotiation.ensure_acceptable(accepting("text/html", "application/json;q=0.1"))


@pytest.mark.parametrize(
    "value",
    [
        BOTH,
        "application/json",
        "application/problem+json",
        "application/*",
        "*/*",
        "text/html, */*;q=0.1",
        "application/json;q=0, application/problem+json",
        "application/json;q=0.001",
        "",
        "nonsense",
        "text/html;q=nonsense",
    ],
)
def test_what_allows_one_of_the_two_forms_is_acceptable(value: str) -> None:
    """A client that takes any of it, or whose header nobody can read, is served."""
    negotiation.ensure_acceptable(accepting(value))


@pytest.mark.parametrize(
    "value",
    [
        "text/html",
        "text/*, image/*",
        "*/*;q=0",
        "application/json;q=0",
        "application/json;q=0, application/problem+json;q=0.0",
        "application/*;q=0, */*",
        "application/json;q=0, application/problem+json;q=0, */*",
        "application/jsonp",
    ],
)
def test_what_allows_neither_form_is_not(value: str) -> None:
    """A client that takes neither form is told which there are."""
    with pytest.raises(NotAcceptableError, match="application/json, application/problem"):
        negotiation.ensure_acceptable(accepting(value))
