"""What two parsers might read differently: refused, or read in one known way."""

from typing import Any

import pytest
from raw_http import MINT, RawAnswer, connect, exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = "Content-Length: 2"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
LINE = f"POST {MINT} HTTP/1.1\r\n".encode()
HOST = b"Host: x\r\n"

REFUSED: dict[str, bytes] = {
    # Where does the body end?
    "CL and TE": request(AUTH, JSON, LENGTH, CHUNKED, body=CHUNKS),
    "TE and CL": request(AUTH, JSON, CHUNKED, LENGTH, body=CHUNKS),
    "two CL": request(AUTH, JSON, LENGTH, "Content-Length: 3", body=b"{}"),
    "two equal CL": request(AUTH, JSON, LENGTH, LENGTH, body=b"{}"),
    "list CL": request(AUTH, JSON, "Content-Length: 2, 2", body=b"{}"),
    "negative CL": request(AUTH, JSON, "Content-Length: -2", body=b"{}"),
    "signed CL": request(AUTH, JSON, "Content-Length: +2", body=b"{}"),
    "hex CL": request(AUTH, JSON, "Content-Length: 0x2", body=b"{}"),
    "huge CL": request(AUTH, JSON, "Content-Length: " + "9" * 30, body=b"{}"),
    "empty CL": request(AUTH, JSON, "Content-Length:", body=b"{}"),
    "TE identity": request(AUTH, JSON, "Transfer-Encoding: identity", body=b"{}"),
    "TE gzip": request(AUTH, JSON, "Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "TE twice": request(AUTH, JSON, CHUNKED, CHUNKED, body=CHUNKS),
    "TE chunked chunked": request(AUTH, JSON, CHUNKED + ", chunked", body=CHUNKS),
    "TE not last": request(AUTH, JSON, CHUNKED + ", identity", body=CHUNKS),
    "TE xchunked": request(AUTH, JSON, "Transfer-Encoding: xchunked", body=CHUNKS),
    "TE vertical tab": request(AUTH, JSON, b"Transfer-Encoding: \x0bchunked", body=CHUNKS),
    "TE in 1.0": LINE.replace(b"1.1", b"1.0") + f"{CHUNKED}\r\n\r\n".encode() + CHUNKS,
    "chunk size": request(AUTH, JSON, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk size signed": request(AUTH, JSON, CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"),
    "chunk size huge": request(AUTH, JSON, CHUNKED, body=b"f" * 17 + b"\r\n{}"),
    "chunk too long": request(AUTH, JSON, CHUNKED, body=b"2\r\n{} \r\n0\r\n\r\n"),
    "chunk bare LF": request(AUTH, JSON, CHUNKED, body=b"2\n{}\n0\n\n"),
    # Where does the head end, or a header?
    "bare LF": (LINE + HOST + b"\r\n").replace(b"\r\n", b"\n"),
    "bare LF once": LINE + b"Host: x\nX: y\r\n\r\n",
    "bare CR": LINE + b"Host: x\rX: y\r\n\r\n",
    "obs-fold": LINE + HOST + b"X: a\r\n b\r\n\r\n",
    "obs-fold first": LINE + b" Host: x\r\n\r\n",
    "space before colon": LINE + HOST + b"Content-Length : 2\r\n\r\n{}",
    "no colon": LINE + HOST + b"nonsense\r\n\r\n",
    "no name": LINE + HOST + b": x\r\n\r\n",
    "NUL in a value": LINE + HOST + b"X: a\x00b\r\n\r\n",
    "NUL in a name": LINE + HOST + b"X\x00Y: a\r\n\r\n",
    "high byte in a name": LINE + HOST + b"X\xe9: a\r\n\r\n",
    # Whom is it for?
    "no Host": LINE + b"\r\n",
    "two Hosts": LINE + HOST + b"Host: y\r\n\r\n",
    "two equal Hosts": LINE + HOST + HOST + b"\r\n",
    "two Hosts in 1.0": LINE.replace(b"1.1", b"1.0") + HOST + b"host: y\r\n\r\n",
    "Host list": LINE + b"Host: x, y\r\n\r\n",
    "Host with a path": LINE + b"Host: x/y\r\n\r\n",
    "Host with a user": LINE + b"Host: a@x\r\n\r\n",
    "Host with a space": LINE + b"Host: a b\r\n\r\n",
    # What is asked?
    "no HTTP": b"nonsense\r\n\r\n",
    "NULs": b"\x00" * 64,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 64,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": f"GET {MINT}\r\n\r\n".encode(),
    "HTTP/1.2": LINE.replace(b"1.1", b"1.2") + HOST + b"\r\n",
    "HTTP/9.9": LINE.replace(b"1.1", b"9.9") + HOST + b"\r\n",
    "two spaces": LINE.replace(b" HTTP", b"  HTTP/1.1 HTTP") + HOST + b"\r\n",
    "tab": LINE.replace(b" ", b"\t") + HOST + b"\r\n",
    "unknown method": b"MINT / HTTP/1.1\r\n" + HOST + b"\r\n",
    "small method": LINE.lower().replace(b"http/1.1", b"HTTP/1.1") + HOST + b"\r\n",
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "URL with NUL": b"POST /a\x00b HTTP/1.1\r\n" + HOST + b"\r\n",
    "URL with a high byte": b"POST /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "URL without a path": b"GET x HTTP/1.1\r\n" + HOST + b"\r\n",
    "URL without a host": b"GET http:// HTTP/1.1\r\n" + HOST + b"\r\n",
    "PROXY protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + LINE + HOST + b"\r\n",
    "PROXY protocol v2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x7f" * 12,
}


@pytest.mark.parametrize("name", REFUSED)
async def test_ambiguous_http_is_400(gateway: Any, name: str) -> None:
    """What could be read in two ways is read in none: 400 in JSON, and the connection ends."""
    async with connect(gateway.port) as connection:
        connection.send(REFUSED[name])
        answer = await connection.answer()
        assert isinstance(answer, RawAnswer)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
        assert answer.headers["cache-control"] == "no-store"
        if answer.headers.get("connection") == "close":
            assert await connection.closed()
    assert gateway.service.requests == []


BENIGN: dict[str, tuple[bytes, int]] = {
    "plain": (request(AUTH, JSON, LENGTH, body=b"{}"), 200),
    "chunked": (request(AUTH, JSON, CHUNKED, body=CHUNKS), 200),
    "chunked in capitals": (request(AUTH, JSON, CHUNKED.upper(), body=CHUNKS), 200),
    "chunk extension": (request(AUTH, JSON, CHUNKED, body=b"2;a=b\r\n{}\r\n0\r\n\r\n"), 200),
    "leading CRLF": (b"\r\n" + request(AUTH), 200),
    "1.0": (f"POST {MINT} HTTP/1.0\r\n{AUTH}\r\n\r\n".encode(), 200),
    "absolute": (request(AUTH, path=f"http://x{MINT}"), 200),
    "Host of IPv6": (request(AUTH, host="[::1]:8080"), 200),
    "asterisk": (request(AUTH, method="OPTIONS", path="*"), 404),
    "latin-1 elsewhere": (request(AUTH, b"X-Note: \xe9\xff"), 200),
    "Expect": (request(AUTH, JSON, LENGTH, "Expect: 100-continue", body=b"{}"), 200),
    "Upgrade": (request(AUTH, "Connection: Upgrade", "Upgrade: websocket"), 200),
    "h2c": (request(AUTH, "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMA"), 200),
}


@pytest.mark.parametrize("name", BENIGN)
async def test_benign_http_is_read(gateway: Any, name: str) -> None:
    """What is unusual and clear is answered."""
    data, status = BENIGN[name]
    answer = await exchange(gateway.port, data)
    assert answer is not None
    assert answer.status == status, answer


async def test_nothing_of_a_refused_request_is_another(gateway: Any) -> None:
    """What stands behind a malformed request is not read as one."""
    smuggled = request(AUTH, "Connection: close")
    async with connect(gateway.port) as connection:
        connection.send(REFUSED["CL and TE"] + smuggled)
        answer = await connection.answer()
        assert answer is not None
        assert answer.status == 400
        assert await connection.closed()
    assert gateway.service.requests == []


async def test_a_trailer_is_no_header(launch: Any) -> None:
    """What stands behind a body cannot say who asks, or from where (RFC 9110, 6.5.1)."""
    async with launch(trusted_proxies=("127.0.0.0/8",)) as gateway:
        trailers = b"X-Forwarded-For: 192.0.2.1\r\nX-Request-Id: forged\r\n"
        body = b"0\r\n" + trailers + f"{AUTH}\r\n".encode() + b"\r\n"
        async with connect(gateway.port) as connection:
            connection.send(request(CHUNKED, "X-Forwarded-For: 198.51.100.1", body=body))
            refused = await connection.answer()
            assert refused is not None
            assert refused.status == 401
            assert refused.headers["x-request-id"] != "forged"
            assert gateway.service.metadata["x-client-address"] == "198.51.100.1"
            connection.send(request(AUTH))  # and the connection goes on
            answer = await connection.answer()
            assert answer is not None
            assert answer.status == 200


async def test_pipelined_requests_are_answered_in_order(gateway: Any) -> None:
    """Answers come in the order of the requests, a refusal last, though it is known first."""
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH) + request(path="/none") + REFUSED["two Hosts"] + b"x" * 99)
        statuses = [answer.status for _ in range(3) if (answer := await connection.answer())]
        assert statuses == [200, 404, 400]
        assert await connection.closed()


async def test_a_bad_body_behind_another_request_waits_its_turn(gateway: Any) -> None:
    """A request whose body turns out to be none is refused after those before it."""
    async with connect(gateway.port) as connection:
        connection.send(request(AUTH) + REFUSED["chunk size"])
        statuses = [answer.status for _ in range(2) if (answer := await connection.answer())]
        assert statuses == [200, 400]
        assert await connection.closed()
