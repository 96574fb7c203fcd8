"""What can be configured of the gateway."""

import pytest

from gateway.settings import GatewaySettings
from serving import addresses
from serving.settings import SettingsError, load

VARIABLE = "GATEWAY_TRUSTED_PROXIES"


def test_nobody_is_trusted_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset or empty, no peer speaks for another."""
    for address in ("127.0.0.1", "::1", "10.0.0.1"):
        parsed = addresses.parsed(address)
        assert parsed is not None
        monkeypatch.delenv(VARIABLE, raising=False)
        assert parsed not in load(GatewaySettings).proxies
        monkeypatch.setenv(VARIABLE, "")
        assert parsed not in load(GatewaySettings).proxies


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list takes both, of both families."""
    monkeypatch.setenv(VARIABLE, " 10.0.0.0/8 , ::1, 192.0.2.1")
    proxies = load(GatewaySettings).proxies
    for address in ("10.1.2.3", "::1", "192.0.2.1"):
        parsed = addresses.parsed(address)
        assert parsed in proxies if parsed else pytest.fail(address)


@pytest.mark.parametrize("value", ["10.0.0.1/8", "proxy.example", "unix", "*", "10.0.0.1, x"])
def test_a_proxy_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """What is neither an address nor a network is refused under the variable's name."""
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SettingsError, match=rf"\A{VARIABLE}: [^\n]+\Z"):
        load(GatewaySettings)


LIVE_URL = "GATEWAY_PLAYGROUND_LIVE_URL"


@pytest.mark.parametrize(
    "value", ["wss://live.example", "wss://live.example:8443", "ws://127.0.0.1:8090"]
)
def test_the_playground_talks_to_an_origin(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """One of sockets, in plaintext only on this machine."""
    monkeypatch.setenv(LIVE_URL, value)
    assert load(GatewaySettings).playground_live_url == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "wss://",
        "https://live.example",
        "wss://live.example/",
        "wss://live.example/ws",
        "wss://user@live.example",
        "wss://live.example?x",
        "wss://live.example#x",
        "wss://live.example:99999",
        "wss://live.example; script-src *",
        "wss://live.example 'unsafe-inline'",
        "wss://*.example",
        "wss://[::1]:1",
        "ws://live.example",
        "ws://localhost.example",
    ],
)
def test_a_place_to_talk_to_that_is_no_origin_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """It would go into the page's policy: what could add to that is refused in one line."""
    monkeypatch.setenv(LIVE_URL, value)
    with pytest.raises(SettingsError, match=rf"\A{LIVE_URL}: [^\n]+\Z"):
        load(GatewaySettings)
