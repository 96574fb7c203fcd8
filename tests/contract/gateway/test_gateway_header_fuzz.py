"""Headers that mean something, with values that mean nothing: an answer, and never a defect."""

import random
from typing import Any

import pytest
from raw_http import exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = (
    "Accept",
    "Accept",
    "baggage",
    "DPoP",
    "Grpc-Metadata-X",
    "Grpc-Metadata-X-Bin",
    "Grpc-Metadata-",
    "Grpc-Metadata-Grpc-Timeout",
    "Grpc-Timeout",
    "Idempotency-Key",
    "TE",
    "traceparent",
    "tracestate",
    "User-Agent",
    "X-Request-Id",
)
PARTS = (
    *("application/json", "application/problem+json", "text/html", "*/*", "*", "/", ";q=0", ";q=1"),
    *("q=", ",", ";", "=", '"', "\\", " ", "\t", "tenant", "build", "5S", "99999999n", "0m", "S"),
    *(
        "AAAA",
        "A",
        "%20",
        "%",
        "'",
        ":",
        "trailers",
        "k" * 130,
        "\xe9",
        "\x7f",
        "\x1f",
        "00-",
        "-01",
    ),
    *("a" * 32, "b" * 16, "{}", "\u2028".encode().decode("latin-1")),
)
ROUNDS = 400
ANSWERS = {200, 400, 406, 431, 504}


def header(some: random.Random) -> bytes:
    """Return a header line."""
    value = "".join(some.choices(PARTS, k=some.randint(0, 6)))
    return f"{some.choice(NAMES)}: {value}".encode("latin-1")


async def test_no_header_is_a_defect(launch: Any) -> None:
    """Each request is served or refused for what it is; what is refused is no RPC."""
    some = random.Random(9457)  # noqa: S311 - to be the same each time
    seen = set()
    async with launch(baggage_keys=("tenant", "build")) as gateway:
        for _ in range(ROUNDS):
            gateway.service.reset()
            lines = [header(some) for _ in range(some.randint(1, 4))]
            answer = await exchange(gateway.port, request("Authorization: Bearer good", *lines))
            assert answer is not None, lines
            assert answer.status in ANSWERS, lines
            if answer.status != 504:  # which can come at once, or from the service
                assert bool(gateway.service.requests) == (answer.status == 200), lines
            assert answer.headers["x-request-id"].isprintable(), lines
            seen.add(answer.status)
    assert seen == ANSWERS - {431}
