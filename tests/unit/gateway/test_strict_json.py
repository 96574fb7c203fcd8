"""The JSON reader: RFC 8259 and nothing beyond it."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.strict_json import MAX_DEPTH, loads

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(documents)
def test_reads_json(value: Any) -> None:
    """Whatever is JSON is read as the standard library reads it."""
    assert loads(json.dumps(value).encode()) == value


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    """No bytes raise anything but InvalidRequestError."""
    with suppress(InvalidRequestError):
        loads(data)


@pytest.mark.parametrize(
    "data, field",
    [
        (b"", None),
        (b"{", None),
        (b'{"a": 1,}', None),
        (b"{} {}", None),
        (b"{'a': 1}", None),
        (b"\xef\xbb\xbf{}", None),
        ('{"a": 1}'.encode("utf-16"), None),
        (b'{"a": "\xff"}', None),
        (b'{"a": "\x01"}', None),
        (b'{"a": NaN}', None),
        (b'{"a": Infinity}', None),
        (b'{"a": -Infinity}', None),
        (b'{"a": [0, 1e400]}', "a[1]"),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
        (b'{"a": 1, "a": 1}', "a"),
        (b'{"x": [{"a": 1, "\\u0061": 2}]}', "a"),
        (b'{"\\ud800": 1, "\\ud800": 1}', "?"),
        (b'{"a": {"b": "\\ud800"}}', "a.b"),
        (b'{"\\udfff": 1}', ""),
        (b"[" * 100_000, None),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), None),
        (b'{"a":' * 500 + b"1" + b"}" * 500, None),
    ],
    ids=range(22),
)
def test_refuses(data: bytes, field: str | None) -> None:
    """What parsers are known to disagree about is refused, by name where it has one."""
    with pytest.raises(InvalidRequestError) as refused:
        loads(data)
    assert refused.value.field == field


def test_depth_is_allowed_up_to_the_limit() -> None:
    """MAX_DEPTH levels are read."""
    loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_what_is_refused_takes_no_longer_than_what_is_read() -> None:
    """Anybody can send it: a key that is there twice is found in one go through them all.

    Were each key looked for among all, this would take many minutes.
    """
    keys = b",".join(b'"%d":1' % number for number in range(400_000))
    with pytest.raises(InvalidRequestError) as refused:
        loads(b"{" + keys + b',"399999":1}')
    assert refused.value.field == "399999"


def test_no_body_takes_much_more_memory_than_its_size() -> None:
    """A long key with much below it is not written out for each of what is there."""
    body = b'{"%s":[%s]}' % (b"x" * 32_000, b",".join([b"1"] * 16_000))
    tracemalloc.start()
    try:
        loads(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


def test_a_path_is_told_as_far_as_it_is_shown() -> None:
    """The beginning of it, which is the same for all that is below."""
    with pytest.raises(InvalidRequestError) as refused:
        loads(b'{"%s":{"%s":[1e400]}}' % (b"a" * 100, b"b" * 100))
    assert refused.value.field == "a" * 100 + "." + "b" * 27 + "…"
