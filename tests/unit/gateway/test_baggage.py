"""Baggage: nothing but what an operator has named, and little of that."""

import string

import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import Headers

from gateway import baggage

KEYS = frozenset({"tenant", "build"})


def sent(*values: str) -> Headers:
    """Return headers with these baggage lines."""
    return Headers(raw=[(b"baggage", value.encode("latin-1")) for value in values])


@pytest.mark.parametrize(
    "values, taken",
    [
        (["tenant=a"], "tenant=a"),
        (["tenant=a,build=7"], "tenant=a,build=7"),
        (["build=7", "tenant=a"], "build=7,tenant=a"),
        (["user=ann, tenant = a ;secret=1;x , build=7"], "tenant=a,build=7"),
        (["tenant=a%20b"], "tenant=a%20b"),
        (["tenant="], "tenant="),
        (["tenant=a=b"], "tenant=a=b"),
        (["Tenant=a"], ""),
        (["tenant=a,tenant=b,build=7"], "build=7"),
        (["tenant=a", "tenant=a"], ""),
        (['tenant="a"'], ""),
        (["tenant=a b"], ""),
        (["tenant=a\\b"], ""),
        (["tenant=é"], ""),
        (["tenant"], ""),
        (["=a"], ""),
        (["", ",", ";"], ""),
        ([], ""),
    ],
)
def test_only_well_formed_members_with_the_keys_are_taken(values: list[str], taken: str) -> None:
    """What goes on has a key of the list, once, and the form of W3C Baggage; no properties."""
    assert baggage.taken(sent(*values), KEYS) == taken


def test_by_default_none_is_taken() -> None:
    """Who names no keys takes no baggage."""
    assert baggage.taken(sent("tenant=a,build=7"), frozenset()) == ""


def test_what_goes_on_is_bounded() -> None:
    """A member that would make it too long is left out; one that is shorter may still fit."""
    assert baggage.taken(sent("tenant=" + "x" * 505), KEYS) == "tenant=" + "x" * 505
    assert baggage.taken(sent("tenant=" + "x" * 506 + ",build=7"), KEYS) == "build=7"
    assert baggage.taken(sent("build=7," + "a=b," * 2_048 + "tenant=a"), KEYS) == ""


def test_space_costs_no_more_than_text() -> None:
    """Were each way to divide it tried, this would take many minutes."""
    for member in ("tenant=" + " " * 1_000_000 + "\x01", " " * 1_000_000 + "\x01"):
        assert baggage._MEMBER.fullmatch(member) is None


@given(st.text(alphabet=string.printable, max_size=300))
def test_whatever_is_sent_what_goes_on_is_baggage(value: str) -> None:
    """No header makes more of it than members with the keys, in printable ASCII."""
    taken = baggage.taken(Headers({"baggage": value}), KEYS)
    members = dict(member.split("=", 1) for member in taken.split(",") if member)
    assert set(members) <= KEYS
    assert taken.isascii()
    assert taken.isprintable()
    assert len(taken) <= baggage.MAX_BYTES
