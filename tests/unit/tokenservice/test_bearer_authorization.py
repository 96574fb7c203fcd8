"""The Authorization header, before anything in it is believed."""

import pytest

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.identity.authorization import PresentedToken, parse_authorization


@pytest.mark.parametrize(
    "value, scheme",
    [
        ("Bearer a.b.c", "Bearer"),
        ("bEARER   a.b.c", "Bearer"),
        (" Bearer a.b.c ", "Bearer"),
        ("DPoP a.b.c", "DPoP"),
        ("dpop a.b.c", "DPoP"),
    ],
)
def test_the_scheme_counts_in_any_case(value: str, scheme: str) -> None:
    """Two schemes are ours, and are told apart."""
    presented = parse_authorization([value])
    assert (presented.scheme, presented.unverified_token) == (scheme, "a.b.c")


@pytest.mark.parametrize(
    "values", [(), ("",), (" ",), ("Bearer",), ("DPoP ",), ("Basic YTpi",), ("Bearerx a",)]
)
def test_what_is_not_ours_is_none(values: tuple[str, ...]) -> None:
    """Without one of our schemes there are no credentials, so no wrong ones."""
    with pytest.raises(Unauthenticated, match="Send Authorization") as refused:
        parse_authorization(values)
    assert not isinstance(refused.value, WrongCredentials)


@pytest.mark.parametrize(
    "values",
    [
        ("Bearer a", "Bearer a"),
        ("Bearer a", "DPoP a"),
        ("Bearer a", ""),
        ("Bearer a, Bearer a",),
        ("Bearer a b",),
        ("Bearer\ta",),
        ("Bearer a\n",),
        ("Bearer a\0",),
        ("Bearer =a",),
        ("Bearer a=b",),
        ("Bearer é",),
        ("Bearer a;b",),
        ("DPoP " + "a" * 8193,),
    ],
)
def test_another_form_is_wrong(values: tuple[str, ...]) -> None:
    """One header, one token of RFC 6750's characters, of 8 KiB at most."""
    with pytest.raises(WrongCredentials):
        parse_authorization(values)


def test_8_kib_are_read() -> None:
    """The limit itself is good."""
    assert len(parse_authorization(["Bearer " + "a" * 8192]).unverified_token) == 8192


def test_the_token_is_not_shown() -> None:
    """What was presented can be logged."""
    assert "s3cret" not in repr(PresentedToken("Bearer", "s3cret"))
