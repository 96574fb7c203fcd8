"""What the service is told of an HTTP client, whatever that says of itself."""

from typing import Any

import pytest

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
GOOD = {"Authorization": "Bearer good"}
SPOOFS = {
    "X-Forwarded-For": "192.0.2.1",
    "Forwarded": "for=192.0.2.1",
    "X-Real-IP": "192.0.2.1",
    "True-Client-IP": "192.0.2.1",
    "X-Client-IP": "192.0.2.1",
    "X-Client-Address": "192.0.2.1",
    "X-Client-Headers": "accept",
    "Grpc-Metadata-X-Client-Address": "192.0.2.1",
}


async def told(gateway: Any, headers: Any, path: str = MINT, method: str = "POST") -> Any:
    """Return what the service was told of a request's client: its address and its headers."""
    assert (await gateway.browser.ask(method, path, headers=headers)).status == 200
    metadata = gateway.service.metadata
    keys = gateway.service.metadata_keys
    assert keys.count("x-client-address") == keys.count("x-client-headers") == 1
    return metadata["x-client-address"], set(metadata["x-client-headers"].split(","))


async def test_a_stranger_cannot_be_another(gateway: Any) -> None:
    """Nothing that a client sends changes the address that its connection has."""
    for name, value in SPOOFS.items():
        address, _ = await told(gateway, GOOD | {name: value})
        assert address == "127.0.0.1", name
    address, names = await told(gateway, GOOD | SPOOFS)
    assert address == "127.0.0.1"
    assert {"x-forwarded-for", "forwarded", "x-real-ip", "user-agent"} <= names
    assert "x-client-address" not in names


@pytest.mark.parametrize("name", ["x-client-address", "x_client_address", "X-Client-Address-Bin"])
async def test_metadata_cannot_be_made_of_headers(gateway: Any, name: str) -> None:
    """The keys for the gateway's word are the gateway's, twice or not."""
    headers = [*GOOD.items(), (name, "192.0.2.1"), (name, "192.0.2.2")]
    address, _ = await told(gateway, headers)
    assert address == "127.0.0.1"
    assert "192.0.2" not in str(gateway.service.metadata)


async def test_every_call_is_told_of(gateway: Any) -> None:
    """Not only mints: wrong credentials count wherever they are tried."""
    for path in ("/usage", "/config", "/health"):
        address, _ = await told(gateway, GOOD, MINT + path, "GET")
        assert address == "127.0.0.1"


async def test_no_watched_header_is_an_empty_list(gateway: Any) -> None:
    """A bare client is told apart from one of which nothing is known."""
    address, names = await told(gateway, GOOD | {"User-Agent": "", "Accept": "*/*"})
    assert (address, names) == ("127.0.0.1", {"accept"})


async def test_a_trusted_proxy_is_believed(launch: Any) -> None:
    """Behind our own proxy the client is who that says, and its headers are its own."""
    async with launch(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8")) as gateway:
        chain = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7:4711, 10.0.0.2"}
        address, names = await told(gateway, GOOD | {"X-Forwarded-Host": "x.example"} | chain)
        assert address == "198.51.100.7"
        assert "user-agent" in names
        assert not any(name.startswith("x-") for name in names)
        address, _ = await told(gateway, GOOD | {"Forwarded": 'for="[2001:DB8::1]:8"'})
        assert address == "2001:db8::1"
        address, _ = await told(gateway, GOOD)
        assert address == "127.0.0.1"


async def test_a_decision_is_named_in_the_body(gateway: Any) -> None:
    """What policy decided can be looked up by what the caller read."""
    blocked = gateway.service.failure = blocked_for(7200)
    answer = await gateway.browser.ask("POST", MINT)
    assert (answer.status, answer.body["code"]) == (403, "ADDRESS_BLOCKED")
    assert answer.body["error"] == blocked.message
    assert answer.body["decisionId"] == "d-1"
    assert answer.body["retryAfter"] == 7200
    assert answer.headers["Retry-After"] == "7200"


def blocked_for(seconds: float) -> errors.ServiceError:
    """Return the outcome of a blocked address."""
    error = errors.PermissionDenied("This address is blocked.", retry_after=seconds)
    error.reason = "ADDRESS_BLOCKED"
    error.metadata[errors.DECISION_ID] = "d-1"
    return error
