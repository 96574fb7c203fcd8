"""JSON that parsers disagree about: 400 over HTTP, and never a 500."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from raw_http import RawAnswer, exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = "Content-Type: application/json"
AUTH = "Authorization: Bearer good"
CORPUS: dict[str, bytes] = {
    "duplicate": b'{"model":"a","model":"a"}',
    "duplicate by an escape": b'{"model":"a","\\u006dodel":"a"}',
    "duplicate, one null": b'{"model":null,"model":"a"}',
    "duplicate, deep": b'{"x":{"y":[{"z":1,"z":2}]}}',
    "camel and snake": b'{"responseModality":"TEXT","response_modality":"TEXT"}',
    "camel and snake, one null": b'{"responseModality":null,"response_modality":"TEXT"}',
    "NaN": b'{"temperature":NaN}',
    "Infinity": b'{"temperature":Infinity}',
    "-Infinity": b'{"temperature":-Infinity}',
    "NaN as text": b'{"temperature":"NaN"}',
    "1e400": b'{"temperature":1e400}',
    "-1e400": b'{"temperature":-1e400}',
    "5000 digits": b'{"duration":' + b"9" * 5_000 + b"}",
    "5000 digits as text": b'{"duration":"' + b"9" * 5_000 + b'"}',
    "50000 digits elsewhere": b'{"x":' + b"9" * 50_000 + b"}",
    "fraction": b'{"duration":2.5}',
    "float that is whole": b'{"duration":1e300}',
    "bool for a number": b'{"duration":true}',
    "depth 17": b'{"x":' + b"[" * 16 + b"]" * 16 + b"}",
    "depth 30000": b"[" * 30_000 + b"]" * 30_000,
    "depth 10000 of objects": b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
    "unclosed depth": b"[" * 60_000,
    "half a surrogate pair": b'{"model":"\\ud800"}',
    "other half": b'{"model":"\\udc00x"}',
    "surrogate in a key": b'{"\\ud800":1}',
    "surrogate in UTF-8": b'{"model":"\xed\xa0\x80"}',
    "UTF-16": '{"model":"a"}'.encode("utf-16"),
    "UTF-16-LE": '{"model":"a"}'.encode("utf-16-le"),
    "UTF-32": '{"model":"a"}'.encode("utf-32"),
    "BOM": b"\xef\xbb\xbf{}",
    "latin-1": b'{"model":"\xe9"}',
    "overlong UTF-8": b'{"model":"\xc0\xaf"}',
    "NUL": b'{"model":"a\x00"}',
    "control character": b'{"model":"a\nb"}',
    "two values": b"{}{}",
    "lines of JSON": b"{}\n{}",
    "trailing comma": b'{"model":"a",}',
    "comment": b"{/* */}",
    "single quotes": b"{'model':'a'}",
    "list": b"[]",
    "string": b'"{}"',
    "null": b"null",
    "number": b"1",
    "empty key": b'{"":1}',
    "dotted key": b'{"a.b":1}',
    "__proto__": b'{"__proto__":{"isAdmin":true}}',
    "@type": b'{"@type":"type.googleapis.com/google.protobuf.Any"}',
    "subject": b'{"subject":"somebody"}',
    "userId": b'{"userId":"somebody"}',
}


async def asked(gateway: Any, body: bytes, *lines: str) -> RawAnswer:
    """Return the answer to a mint with this body."""
    length = f"Content-Length: {len(body)}"
    answer = await exchange(gateway.port, request(JSON, length, *lines, body=body))
    assert answer is not None
    return answer


@pytest.mark.parametrize("name", CORPUS)
async def test_malformed_json_is_400(gateway: Any, name: str) -> None:
    """Nothing that could be read in two ways is read."""
    answer = await asked(gateway, CORPUS[name], AUTH)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
    assert gateway.service.requests == []


async def test_sixteen_levels_are_read(gateway: Any) -> None:
    """The depth that is allowed is refused for its content alone."""
    answer = await asked(gateway, b'{"x":' + b"[" * 15 + b"]" * 15 + b"}", AUTH)
    assert (answer.status, answer.body["details"][1]["fieldViolations"][0]["field"]) == (400, "x")


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Encoding: gzip"],
        ["Content-Encoding: deflate"],
        ["Content-Encoding: zstd"],
        ["Content-Encoding: identity, gzip"],
        ["Content-Encoding: identity", "Content-Encoding: gzip"],
        ["Content-Encoding: gzip", "Content-Encoding: identity"],
        ["Content-Encoding: "],
    ],
    ids=range(7),
)
async def test_no_encoding_is_undone(gateway: Any, lines: list[str]) -> None:
    """A body with an encoding is 415, or 400 where there are two headers; nothing is unpacked."""
    answer = await asked(gateway, b"\x1f\x8b\x08" + bytes(50), *lines)
    assert answer.status in ({415} if len(lines) == 1 else {400, 415})
    assert gateway.service.requests == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
async def test_no_body_is_a_500(gateway: Any, body: bytes) -> None:
    """Whatever the bytes, the answer is 4xx, and JSON."""
    answer = await asked(gateway, body)
    assert 400 <= answer.status < 500
    assert answer.body["success"] is False
