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
