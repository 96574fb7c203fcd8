"""What the service is told of a request's client."""

import pytest
from starlette.requests import Request

from gateway.client_metadata import ClientMetadata
from serving.addresses import Networks

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
TRUSTED = Networks([PROXY])


def described(peer: str | None, *lines: tuple[str, str]) -> dict[str, str]:
    """Return the metadata for a request with these header lines."""
    headers = [(name.lower().encode(), value.encode()) for name, value in lines]
    scope = {"type": "http", "headers": headers, "client": (peer, 80) if peer else None}
    metadata = ClientMetadata(TRUSTED)(Request(scope))
    assert len(dict(metadata)) == len(metadata)
    return dict(metadata)


ALL = {
    "User-Agent": "ua/1",
    "Accept": "*/*",
    "Accept-Language": "en",
    "Origin": "https://example.com",
    "X-Forwarded-Host": "example.com",
    "X-Originating-IP": "192.0.2.1",
    "X-Cluster-Client-IP": "192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "Forwarded": "for=192.0.2.1",
    "X-Real-IP": "192.0.2.1",
    "True-Client-IP": "192.0.2.1",
    "X-Client-IP": "192.0.2.1",
}


def test_a_client_is_told_by_its_headers() -> None:
    """The watched headers that a client sent are named in lower case, and no others."""
    sent = described(STRANGER, *ALL.items(), ("Cookie", "a"), ("Authorization", "Bearer x"))
    assert sent["x-client-address"] == STRANGER
    assert set(sent["x-client-headers"].split(",")) == {name.lower() for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_each_header_is_named_for_itself(name: str) -> None:
    """One header, one name."""
    assert described(STRANGER, (name, ALL[name]))["x-client-headers"] == name.lower()


def test_what_a_trusted_proxy_adds_is_not_the_clients() -> None:
    """Behind a trusted proxy the forwarding headers are left out; the others are the client's."""
    sent = described(PROXY, *ALL.items())
    assert sent["x-client-address"] == "192.0.2.1"
    assert sent["x-client-headers"] == "user-agent,accept,accept-language,origin"


@pytest.mark.parametrize("agent", ["", " ", "\t "])
def test_a_blank_user_agent_is_none(agent: str) -> None:
    """A user agent that says nothing counts as absent."""
    assert described(STRANGER, ("User-Agent", agent))["x-client-headers"] == ""


def test_no_header_is_an_empty_list() -> None:
    """A client without any of them is told apart from one that nothing is known of."""
    assert described(STRANGER) == {"x-client-address": STRANGER, "x-client-headers": ""}


@pytest.mark.parametrize("peer", [None, "testclient"])
def test_a_peer_without_an_address_is_not_known(peer: str | None) -> None:
    """Without a peer's address nothing is believed, and the address is empty."""
    sent = described(peer, ("X-Forwarded-For", "192.0.2.1"))
    assert sent == {"x-client-address": "", "x-client-headers": "x-forwarded-for"}
