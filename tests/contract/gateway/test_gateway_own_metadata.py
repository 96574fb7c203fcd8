"""Metadata, baggage and ids that are the caller's own, through HTTP."""

from typing import Any

import pytest
from raw_http import MINT, RawAnswer, connect, exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"


async def answered(gateway: Any, *lines: str | bytes, body: bytes = b"") -> RawAnswer:
    """Return the answer to a mint with these header lines."""
    more = [f"Content-Length: {len(body)}", JSON] if body else []
    answer = await exchange(gateway.port, request(*lines, *more, body=body))
    assert answer is not None
    return answer


async def test_headers_with_the_prefix_reach_the_service(gateway: Any) -> None:
    """`Grpc-Metadata-` headers are metadata of the RPC, binary ones as bytes."""
    lines = ["Grpc-Metadata-X-Tenant: a", "grpc-metadata-data-BIN: AP8", "Grpc-Metadata-x_y.z: b"]
    assert (await answered(gateway, AUTH, *lines)).status == 200
    seen = gateway.service.metadata
    assert (seen["x-tenant"], seen["x_y.z"]) == ("a", "b")
    assert seen["data-bin"] == str(b"\x00\xff")


@pytest.mark.parametrize(
    "name", [".", "_", "_-bin", "a-bin", "a.", "0", "__proto__", "x-", "a-bin-"]
)
@pytest.mark.parametrize("value", ["", "AAAA", "A" * 256])
async def test_no_name_that_is_let_through_breaks_grpc(gateway: Any, name: str, value: str) -> None:
    """What passes here passes there: a strange name is served, and never a 500."""
    assert (await answered(gateway, AUTH, f"Grpc-Metadata-{name}: {value}")).status == 200
    assert name in gateway.service.metadata_keys


@pytest.mark.parametrize(
    "line, words",
    [
        ("Grpc-Metadata-X: \xe9", "must be printable ASCII"),
        ("Grpc-Metadata-X: a\tb", "must be printable ASCII"),
        ("Grpc-Metadata-X-Bin: !", "must be base64"),
        ("Grpc-Metadata-a!b: c", "has a name"),
        ("Grpc-Metadata-: c", "has a name"),
        ("Grpc-Metadata--bin: AAAA", "has a name"),
    ],
)
async def test_what_metadata_cannot_be_is_named(gateway: Any, line: str, words: str) -> None:
    """A name or value that gRPC cannot carry is 400, and never a 500."""
    answer = await answered(gateway, AUTH, line)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.body["error"]
    assert gateway.service.requests == []


@pytest.mark.parametrize(
    "lines", [[f"Grpc-Metadata-{n}: x" for n in range(17)], ["Grpc-Metadata-X: " + "x" * 2_048]]
)
async def test_so_much_of_it_is_431(gateway: Any, lines: list[str]) -> None:
    """A caller's own metadata are bounded, in number and in bytes."""
    answer = await answered(gateway, AUTH, *lines)
    assert (answer.status, answer.body["code"]) == (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")
    assert "Grpc-Metadata-" in answer.body["error"]
    assert gateway.service.requests == []


async def test_by_default_baggage_is_dropped(gateway: Any) -> None:
    """Nobody's baggage goes on unless an operator has named its keys."""
    assert (await answered(gateway, AUTH, "baggage: tenant=a")).status == 200
    assert "baggage" not in gateway.service.metadata_keys


async def test_baggage_with_named_keys_goes_on(launch: Any) -> None:
    """Members with the keys of the setting are one entry of metadata; no other is taken along."""
    async with launch(baggage_keys=("tenant", "build")) as gateway:
        lines = [AUTH, "baggage: tenant=a;x=y, user=ann", "Baggage: build=7, role=admin"]
        assert (await answered(gateway, *lines)).status == 200
        assert gateway.service.metadata["baggage"] == "tenant=a,build=7"
        assert gateway.service.metadata_keys.count("baggage") == 1
        for malformed in ("tenant", 'tenant="a"', "tenant=a,tenant=b", "tenant=\xff"):
            assert (await answered(gateway, AUTH, f"baggage: {malformed}")).status == 200
            assert "baggage" not in gateway.service.metadata_keys


@pytest.mark.parametrize(
    "header, key",
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('"abc";x=1', "abc"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ("a b", "a b"),
        ("'abc'", "'abc'"),
        ('a"b"', 'a"b"'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"' + "k" * 128 + '"', "k" * 128),
    ],
)
async def test_a_key_in_quotes_is_the_key(gateway: Any, header: str, key: str) -> None:
    """Clients write bare keys; a structured String, as the draft has it, is what is in it."""
    assert (await answered(gateway, AUTH, f"Idempotency-Key: {header}")).status == 200
    assert gateway.service.requests[0].request_id == key
    body = b'{"requestId": "%s"}' % key.replace("\\", "\\\\").replace('"', '\\"').encode()
    assert (await answered(gateway, AUTH, f"Idempotency-Key: {header}", body=body)).status == 200


@pytest.mark.parametrize(
    "header", ['"', '""', '"abc', '"a"b', '"a" "b"', '"a\\b"', '"' + "k" * 129 + '"', '"a", "b"']
)
async def test_quotes_that_are_no_string_are_400(gateway: Any, header: str) -> None:
    """What begins with a quote and is no string, or an empty one, is named."""
    answer = await answered(gateway, AUTH, f"Idempotency-Key: {header}")
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert "Idempotency-Key" in answer.body["error"]
    assert gateway.service.requests == []


async def test_all_that_may_go_on_arrives(launch: Any) -> None:
    """With as much of everything as is taken, the service has room for it."""
    lines = [
        "X-API-Key: " + "k" * 8_192,
        "User-Agent: " + "a" * 64,
        *(f"Grpc-Metadata-{n:04}-bin: {'A' * 116}" for n in range(16)),
        "DPoP: " + "p" * (12 * 1024 - 13 - 8_192 - 64 - 16 * 124),
        "X-Request-Id: " + "r" * 128,
        f"traceparent: 00-{'a' * 32}-{'b' * 16}-01",
        "tracestate: a=" + "x" * 510,
        *(f"{name}: x" for name in ("Accept", "Accept-Language", "Origin", "X-Forwarded-For")),
        *(f"{name}: x" for name in ("Forwarded", "X-Real-IP", "True-Client-IP", "X-Client-IP")),
    ]
    async with launch(max_head_bytes=65_536, baggage_keys=("tenant",)) as gateway:
        assert (await answered(gateway, AUTH, *lines)).status == 200
        assert len(gateway.service.metadata["grpcgateway-user-agent"]) == 64
        assert gateway.service.metadata["0015-bin"] == str(bytes(87))
        assert (await answered(gateway, AUTH, *lines, "baggage: tenant=a")).status == 200
        assert "baggage" not in gateway.service.metadata_keys  # for which there is no room left
        answer = await answered(gateway, AUTH, *lines, "Grpc-Metadata-X: y")
        assert (answer.status, answer.body["code"]) == (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")
        lines[3] = lines[3] + "AAAA"
        answer = await answered(gateway, AUTH, *lines)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
        assert "12288 bytes" in answer.body["error"]


MINE = "X-Request-Id: order-7"


@pytest.mark.parametrize(
    "data, status",
    [
        (request(AUTH, MINE), 200),
        (request(AUTH, MINE, method="OPTIONS"), 204),
        (request(AUTH, MINE, path=MINT + "?token=x"), 400),
        (request(MINE), 401),
        (request(AUTH, MINE, method="GET", path=MINT + "/stats"), 403),
        (request(AUTH, MINE, path="/none"), 404),
        (request(AUTH, MINE, method="GET"), 405),
        (request(AUTH, MINE, "Accept: text/html"), 406),
        (request(AUTH, MINE, JSON, "Content-Length: 100000"), 413),
        (request(AUTH, MINE, "Content-Length: 2", body=b"{}"), 415),
        (request(AUTH, MINE, *(f"Grpc-Metadata-{n}: x" for n in range(17))), 431),
        (request(AUTH, MINE, "Host: y"), 400),
        (request(AUTH, MINE, "Transfer-Encoding: chunked", JSON, body=b"zz\r\n"), 400),
        (request(AUTH, MINE, *(f"X-{n}: x" for n in range(99))), 431),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_the_callers_id_is_on_every_answer(gateway: Any, data: bytes, status: int) -> None:
    """A caller finds its answer by the id that it gave, whichever layer answers."""
    answer = await exchange(gateway.port, data)
    assert answer is not None
    assert (answer.status, answer.headers["x-request-id"]) == (status, "order-7")
    if answer.body is not None and status >= 400:
        assert answer.body["requestId"] == "order-7"


async def test_a_slow_requests_id_is_on_its_answer(launch: Any) -> None:
    """So it is on the answers to what did not arrive in time."""
    async with launch(head_timeout_ms=20, body_timeout_ms=20) as gateway:
        for data in (
            f"POST {MINT} HTTP/1.1\r\nHost: x\r\n{MINE}\r\nX: ".encode(),
            request(AUTH, MINE, JSON, "Content-Length: 9"),
        ):
            answer = await exchange(gateway.port, data)
            assert answer is not None
            assert (answer.status, answer.headers["x-request-id"]) == (408, "order-7")


async def test_an_id_is_not_the_next_requests(gateway: Any) -> None:
    """What comes behind a request on its connection, and says nothing, has an id of its own."""
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH, MINE))
        first = await connection.answer()
        connection.send(b"\r\n" * 10_000)
        second = await connection.answer()
    assert first is not None
    assert second is not None
    assert (first.headers["x-request-id"], second.status) == ("order-7", 431)
    assert second.headers["x-request-id"] != "order-7"


@pytest.mark.parametrize("sent", ["a b", "", "x" * 129, "\xe9", "a\x01"])
async def test_what_is_no_id_is_replaced(gateway: Any, sent: str) -> None:
    """An id that could not be logged or sent on is dropped for one of ours, below too."""
    for lines in ([AUTH], [AUTH, "Host: y"]):
        answer = await answered(gateway, *lines, f"X-Request-Id: {sent}")
        if answer.status == 200 or len(lines) > 1:
            assert len(answer.headers["x-request-id"]) == 32
