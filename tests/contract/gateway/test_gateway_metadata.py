"""What of a request's headers reaches the service: an allow list, and no way around it."""

from typing import Any

import pytest
from raw_http import MINT, RawAnswer, exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTH = "Authorization: Bearer good"
OURS = {"x-request-id", "x-client-address", "x-client-headers", "traceparent"}
GRPCS = {"user-agent"}  # grpc's own; what the client says goes by another name
FORWARDED = {"authorization", "x-api-key", "dpop", "grpcgateway-user-agent"}
RESERVED = (
    "authorization",
    "x-api-key",
    "dpop",
    "x-client-address",
    "x-client-headers",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-status-details-bin",
    "grpc-trace-bin",
    "grpc-previous-rpc-attempts",
    "grpcgateway-user-agent",
    "x-internal-role",
    "x-user-id",
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "te",
    "host",
    "content-type",
    "content-length",
    "user-agent",
    "authorization-bin",
    "x-client-address-bin",
    "x_client_address",
    "cookie",
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "x-goog-api-key",
    "b3",
    "live-token-secret",
)
MARK = "smuggled"


def keys(gateway: Any) -> list[str]:
    """Return the keys that the service was sent, as often as they were."""
    return sorted(gateway.service.metadata_keys)


async def answered(gateway: Any, *lines: str | bytes) -> RawAnswer:
    """Return the answer to a mint with these header lines."""
    answer = await exchange(gateway.port, request(*lines))
    assert answer is not None
    assert answer.status < 500
    return answer


async def test_nothing_but_the_allow_list_goes_on(gateway: Any) -> None:
    """The service sees each allowed key once, and no other."""
    lines = [AUTH, "X-API-Key: k", "DPoP: p", "User-Agent: ua/1", "Cookie: a=b", "X-Other: c"]
    assert (await answered(gateway, *lines)).status == 200
    assert keys(gateway) == sorted(OURS | GRPCS | FORWARDED)
    assert gateway.service.metadata["dpop"] == "p"


@pytest.mark.parametrize("prefix", ["Grpc-Metadata-", "grpc-metadata-", "GRPC-METADATA-", ""])
@pytest.mark.parametrize("name", RESERVED)
async def test_reserved_names_cannot_be_reached(gateway: Any, prefix: str, name: str) -> None:
    """Neither by grpc-gateway's prefix nor by its own name does a header set metadata."""
    if not prefix and name in {"authorization", "host", "content-length", "grpc-timeout"}:
        return  # these have a meaning of their own, and tests of it
    value = {"content-type": "application/json", "te": "trailers"}.get(name, MARK)
    answer = await answered(gateway, AUTH, f"{prefix}{name}: {value}")
    assert answer.status == 200
    seen = gateway.service.metadata
    allowed = {"x-api-key", "dpop", "x-request-id", "user-agent"} if not prefix else set()
    assert (MARK in str(seen)) == (name in allowed)
    assert seen["authorization"] == "Bearer good"
    assert seen["x-client-address"] == "127.0.0.1"
    extra = {"x-api-key", "dpop", "grpcgateway-user-agent"} if not prefix else set()
    assert set(keys(gateway)) - extra == OURS | GRPCS | {"authorization"}
    assert len(keys(gateway)) == len(set(keys(gateway)))


@pytest.mark.parametrize("name", [":authority", ":path", "x_client_address", "Grpc_Metadata_x"])
async def test_pseudo_headers_are_not_made_of_headers(gateway: Any, name: str) -> None:
    """What looks like a pseudo-header is refused or ignored."""
    answer = await answered(gateway, AUTH, f"{name}: {MARK}")
    assert answer.status in {200, 400}
    assert MARK not in str(gateway.service.metadata)


@pytest.mark.parametrize(
    "name", ["Authorization", "X-API-Key", "DPoP", "User-Agent", "Idempotency-Key", "X-Request-Id"]
)
@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xfe",
        "Bearer ж".encode(),
        b"a\tb",
        b"a\x7fb",
        b"a\x1b[31mb",
        b"\xe2\x80\xa8",
        b"a\x01",
    ],
    ids=range(7),
)
async def test_a_value_that_metadata_cannot_carry(gateway: Any, name: str, value: bytes) -> None:
    """It is 400 and named, or not taken; it is never a 500, and never passed on."""
    answer = await answered(gateway, AUTH, name.encode() + b": " + value)
    assert answer.status == (200 if name == "X-Request-Id" and value > b"a\x02" else 400) or (
        name == "X-Request-Id"
    )
    if answer.status == 200:
        assert value.decode("latin-1") not in str(gateway.service.metadata)
        assert value not in answer.headers["x-request-id"].encode("latin-1")
    else:
        assert gateway.service.requests == []


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "DPoP", "User-Agent"])
@pytest.mark.parametrize("other", ["", "Bearer good", "other"])
async def test_two_of_a_header_are_400(gateway: Any, name: str, other: str) -> None:
    """Of two, this side and the other could each take another one, even if they are equal."""
    answer = await answered(gateway, f"{name}: Bearer good", f"{name.upper()}: {other}")
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert name.lower() in answer.body["error"].lower()
    assert gateway.service.requests == []


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "lines",
    [
        ["traceparent: "],
        ["traceparent: " + "0" * 5_000],
        ["traceparent: 00-" + "0" * 32 + "-b7ad6b7169203331-01"],
        ["traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ["traceparent: " + TRACE.upper()],
        ["traceparent: " + TRACE + "-extra"],
        ["traceparent: \xff"],
        [f"traceparent: {TRACE}", "traceparent: " + TRACE.replace("0af", "1af")],
        [f"traceparent: {TRACE}", "tracestate: " + ",".join(f"k{n}=v" for n in range(2_000))],
        [f"traceparent: {TRACE}", "tracestate: " + "a=" + "v" * 9_000],
        [f"traceparent: {TRACE}", "tracestate: \xff\xfe"],
        [f"traceparent: {TRACE}", "tracestate: a=b", "tracestate: c=d"],
        [f"traceparent: {TRACE}", "baggage: " + "a=b," * 2_000],
        ["tracestate: a=b"],
        ["b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", "uber-trace-id: 1:1:0:1"],
    ],
    ids=range(15),
)
async def test_trace_headers_break_and_bloat_nothing(gateway: Any, lines: list[str]) -> None:
    """Whatever is sent as trace context, the request is served, and little of it goes on.

    One good traceparent continues; any other begins a new trace, without a tracestate.
    """
    answer = await answered(gateway, AUTH, *lines)
    assert answer.status == 200
    seen = gateway.service.metadata
    assert set(seen) <= OURS | GRPCS | {"authorization", "tracestate"}
    continued = [line for line in lines if line.startswith("traceparent")] == [
        f"traceparent: {TRACE}"
    ]
    assert (seen["traceparent"] == TRACE) is continued
    assert continued or "tracestate" not in seen
    assert len(seen.get("tracestate", "")) <= 512


@pytest.mark.parametrize(
    "name",
    ["access_token", "key", "token", "api_key", "apikey", "jwt", "id_token", "X-API-Key", "Auth"],
)
@pytest.mark.parametrize("path", ["", "/usage", "/config", "/health", "/stats"])
async def test_a_credential_in_the_url_is_refused(gateway: Any, name: str, path: str) -> None:
    """It is 400 wherever it is sent: the answer names it, and says what to do instead."""
    data = request(AUTH, method="GET" if path else "POST", path=f"{MINT}{path}?{name}=SECRET-1")
    answer = await exchange(gateway.port, data)
    assert answer is not None
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert answer.body["details"][1]["fieldViolations"][0]["field"] == name
    assert "Authorization or X-API-Key header" in answer.body["error"]
    assert "SECRET" not in str(answer)
    assert gateway.service.requests == []
