"""W3C Trace Context, level 2: what of a caller's headers goes on, and what does not.

The cases are the recommendation's, and those of its test suite
(https://github.com/w3c/trace-context/blob/main/test/test.py).
"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, strategies as st

from serving import trace_context, tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"

Entries = list[tuple[str, str | bytes]]


def carried(*entries: tuple[str, str | bytes]) -> dict[str, str]:
    """Return what goes on from a good parent with other headers."""
    return trace_context.carrier([("traceparent", PARENT), *entries])


def state_of(*fields: str) -> str:
    """Return the list that goes on of some fields of `tracestate`."""
    return carried(*(("tracestate", field) for field in fields)).get("tracestate", "")


@pytest.mark.parametrize(
    "parent",
    [
        PARENT,
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-03",  # with the random flag of level 2
        f"00-{TRACE}-{SPAN}-ff",  # flags that nobody knows yet
        f"01-{TRACE}-{SPAN}-01",  # versions that nobody knows yet
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f"fe-{TRACE}-{SPAN}-01-",
    ],
)
def test_a_parent_is_continued(parent: str) -> None:
    """A well-formed `traceparent` goes on, of a later version too."""
    for value in (parent, f" \t{parent} "):  # what is around a header's value is not part of it
        assert trace_context.carrier([("traceparent", value)]) == {"traceparent": parent}
    with tracing.server_span("served", trace_context.carrier([("traceparent", parent)])):
        assert tracing.trace_id() == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"0-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
        f"cc-{TRACE}-{SPAN}-01-é",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"CC-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"01-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-x1",
        f"00-{TRACE}-{SPAN}-01\n",
        f"\n{PARENT}",
        f"{PARENT},{PARENT}",
        f"00_{TRACE}_{SPAN}_01",
        f"\uff10\uff10-{TRACE}-{SPAN}-01",
    ],
)
def test_what_is_no_parent_restarts_the_trace(parent: str) -> None:
    """A malformed `traceparent` counts as none, and `tracestate` goes with it."""
    entries: Entries = [("traceparent", parent), ("tracestate", "a=1")]
    assert trace_context.carrier(entries) == {}
    with tracing.server_span("served", trace_context.carrier(entries)):
        assert re.fullmatch("[0-9a-f]{32}", tracing.trace_id())
        assert tracing.trace_id() not in {TRACE, "0" * 32}


@pytest.mark.parametrize("other", [PARENT, f"00-{'a' * 32}-{SPAN}-01", "", "nonsense"])
def test_several_parents_are_none(other: str) -> None:
    """A second `traceparent`, even the same, restarts the trace."""
    assert carried(("traceparent", other), ("tracestate", "a=1")) == {}


def test_a_state_without_a_parent_is_nothing() -> None:
    """`tracestate` alone is not read."""
    assert trace_context.carrier([("tracestate", "a=1")]) == {}


def test_metadata_that_is_bytes_is_no_header() -> None:
    """A binary value, as gRPC's metadata may have, is none of ours."""
    assert trace_context.carrier([("traceparent", PARENT.encode())]) == {}


def test_nothing_else_goes_on() -> None:
    """Neither baggage nor anything that only looks like a header of the two."""
    given: Entries = [("baggage", "user=ann"), ("traceparent2", "x"), ("x-tracestate", "a=1")]
    assert carried(*given) == {"traceparent": PARENT}


@pytest.mark.parametrize(
    "fields, whole",
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),  # several fields are one list, in their order
        (["bar=2", "foo=1"], "bar=2,foo=1"),
        (["foo=1", "", "bar=2"], "foo=1,bar=2"),
        (["foo=1,", ",bar=2,,"], "foo=1,bar=2"),
        (["", ""], ""),
        ([" foo=1 \t, \tbar=2 "], "foo=1,bar=2"),
        (["foo= 1"], "foo= 1"),  # a value may begin with a space, and not end with one
        (["foo=1,foo=2"], "foo=1"),
        (["foo=1", "foo=1", "bar=2"], "foo=1,bar=2"),
        (["a*/_-9=1"], "a*/_-9=1"),
        (["t61rcwkgmze@acme=1"], "t61rcwkgmze@acme=1"),
        (["0t@acme=1"], "0t@acme=1"),
        (["foo=" + "v" * 256], "foo=" + "v" * 256),
        (["f" * 256 + "=1"], "f" * 256 + "=1"),
        (["foo=" + "".join(map(chr, range(0x20, 0x7F))).replace(",", "").replace("=", "")], None),
    ],
)
def test_a_state_goes_on(fields: list[str], whole: str | None) -> None:
    """`tracestate` is one list, in order, without what is empty or repeated."""
    assert state_of(*fields) == (fields[0] if whole is None else whole)


@pytest.mark.parametrize(
    "member",
    [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "1foo=1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        "f" * 257 + "=1",
        "foo=" + "v" * 257,
        "foo=bar=baz",
        "foo=é",
        "foo=\x00",
        "foo=a\tb",
        "foo=1;bar=2",
    ],
)
def test_a_member_that_is_none_is_left_out(member: str) -> None:
    """It takes neither the parent nor the other members along."""
    assert state_of(f"{member},good=1") == "good=1"


def test_more_members_than_32_are_no_list() -> None:
    """32 are, 33 are not; empty ones do not count."""
    members = [f"k{number}=1" for number in range(33)]
    assert state_of(",".join(members[:32])) == ",".join(members[:32])
    assert state_of(*members[:32], "", ",") == ",".join(members[:32])
    assert state_of(",".join(members)) == ""
    assert state_of(*members) == ""


def test_a_long_list_loses_long_members_first_and_then_the_last() -> None:
    """512 characters go on: whole members, those of more than 128 first to leave."""
    long, short = "long=" + "v" * 150, [f"k{number}=" + "v" * 90 for number in range(6)]
    assert state_of(f"a=1,{long},b=2") == f"a=1,{long},b=2"  # all of it fits
    kept = state_of(",".join([*short[:3], long, *short[3:]]))
    assert kept == ",".join(short[:5])
    exact = [f"k{number}=" + "v" * 124 for number in range(4)]
    exact[-1] += "v" * (512 - len(",".join(exact)))
    assert state_of(",".join(exact)) == ",".join(exact)
    assert len(state_of(",".join(exact) + "v")) < 512


TEXT = st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=60)
FIELDS = st.lists(
    st.lists(
        st.one_of(
            TEXT,
            st.builds(
                "{}={}".format,
                st.from_regex(r"[a-z][a-z0-9_*/@-]{0,200}", fullmatch=True),
                st.from_regex(r"[ -~]{0,200}", fullmatch=True),
            ),
        ),
        max_size=40,
    ).map(",".join),
    max_size=5,
)


@given(FIELDS)
@example([",".join(f"k{number}=1" for number in range(32))])
def test_what_goes_on_is_a_state(fields: list[str]) -> None:
    """Whatever came: a list of the recommendation's form, of members that came, in their order."""
    state = state_of(*fields)
    assert len(state) <= 512
    members = state.split(",") if state else []
    came = [each.strip(" \t") for field in fields for each in field.split(",")]
    assert len(members) <= 32
    keys = [member.partition("=")[0] for member in members]
    assert len(set(keys)) == len(keys)
    rest = iter(came)
    assert all(member in rest for member in members)
    assert state_of(state) == state  # and the next one takes all of it
    with tracing.server_span("served", carried(("tracestate", state))):
        sent: dict[str, str] = {}
        with tracing.client_span("called", sent):
            assert sent.get("tracestate", "") == state


@given(st.one_of(TEXT, st.text(alphabet="0f-aG1c", min_size=50, max_size=58)))
def test_a_parent_is_continued_or_not_read(parent: str) -> None:
    """Whatever came, there is a valid trace id: the parent's where that is well formed."""
    carrier = trace_context.carrier([("traceparent", parent)])
    with tracing.server_span("served", carrier):
        assert re.fullmatch("[0-9a-f]{32}", tracing.trace_id())
        assert tracing.trace_id() != "0" * 32
        assert (tracing.trace_id() == parent.strip(" \t")[3:35]) == bool(carrier)
