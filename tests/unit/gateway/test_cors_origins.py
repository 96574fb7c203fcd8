"""Which origins a list of them allows: never one that its author did not mean."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, strategies as st

from gateway.origins import Origins
from gateway.settings import GatewaySettings
from serving.settings import SettingsError, load

VARIABLE = "GATEWAY_CORS_ORIGINS"
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
PORT = st.one_of(st.just(""), st.integers(1024, 65535).map(":{}".format))


@pytest.mark.parametrize(
    "written",
    [
        "https://app.example.com",
        "http://localhost:3000",
        "http://127.0.0.1:5173",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnop",
    ],
)
def test_an_origin_is_itself_alone(written: str) -> None:
    """Nothing beside, before or behind it is the same."""
    origins = Origins([written])
    assert written in origins
    for other in (written + "0", written + "/", written + ":1", "x" + written, written[:-1], ""):
        assert other not in origins, other


@given(LABEL, PORT)
def test_a_pattern_is_any_one_label(label: str, port: str) -> None:
    """Each host with exactly one label more, of this scheme and port, is allowed."""
    assert f"https://{label}.example.com{port}" in Origins([f"https://*.example.com{port}"])


NEAR = st.text("abz09-._*:/\\@#?%&;[] \t\n\0éＡ", max_size=24)  # noqa: RUF001 - as attackers do


@given(NEAR, NEAR, NEAR)
@example("evil.com#", "", "")
@example("evil.com/", "", "")
@example("evil.com:80@a", "", "")
@example("a.b", "", "")
@example("", "", "")
@example("a", "", ".evil.com")
@example("a", "", ":8443")
@example("a", "", "\n")
@example("a", "@evil.com", "")
@example("-", "", "")
@example("a" * 64, "", "")
def test_a_pattern_is_never_more_than_a_label(before: str, within: str, after: str) -> None:
    """Whatever stands for the `*`, or is added anywhere, only one host name's label passes."""
    origin = f"https://{before}{within}.example.com{after}"
    if origin in Origins(["https://*.example.com"]):
        label, dot, parent = (urlsplit(origin).hostname or "").partition(".")
        assert origin == f"https://{label}.example.com"
        assert (dot, parent) == (".", "example.com")
        assert 0 < len(label) < 64
        assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=40))
@example("null")
@example("https://example.com")
@example("https://.example.com")
@example("https://a.b.example.com")
@example("http://a.example.com")
@example("HTTPS://a.example.com")
@example("https://A.example.com")
@example("https://aexample.com")
@example("https://*.example.com")
def test_nothing_else_passes(origin: str) -> None:
    """What is no origin, or another's, is not allowed."""
    assert origin not in Origins(["https://*.example.com", "https://app.example.com"])


def test_scheme_and_port_are_fixed() -> None:
    """A pattern says which, and no other is it."""
    origins = Origins(["https://*.example.com:8443", "http://*.localhost:3000"])
    assert "https://a.example.com:8443" in origins
    assert "http://a.localhost:3000" in origins
    for other in (
        "https://a.example.com",
        "https://a.example.com:443",
        "https://a.example.com:84430",
        "http://a.example.com:8443",
        "https://a.localhost:3000",
    ):
        assert other not in origins, other


def test_nobody_is_allowed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset or empty, no page of another origin reads an answer."""
    for value in (None, "", " , "):
        monkeypatch.delenv(VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(VARIABLE, value)
        origins = load(GatewaySettings).origins
        assert "https://app.example.com" not in origins
        assert "null" not in origins


def test_several_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces around them do not count."""
    monkeypatch.setenv(VARIABLE, " https://a.example , https://*.b.example ")
    origins = load(GatewaySettings).origins
    for origin in ("https://a.example", "https://x.b.example"):
        assert origin in origins


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "https://example.com/",
        "https://example.com/path",
        "https://Example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:",
        "https://example.com:0",
        "https://user@example.com",
        "https://example.com?x",
        "https://example.com#x",
        "example.com",
        "//example.com",
        "*.example.com",
        "https://*",
        "https://*.com",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://a*.example.com",
        "https://**.example.com",
        "https://*.example.com:*",
        "*://app.example.com",
        "http*://app.example.com",
        "capacitor://*.example.com",
        "https://.example.com",
        "https://example..com",
        "https://-.example.com",
        "https://b\u00fccher.example",
        "file://",
        "*, https://example.com",
        "https://example.com https://b.example.com",
    ],
)
def test_what_is_no_list_of_origins_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """It is refused in one line, under the variable's name."""
    monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setenv("GATEWAY_CORS_CREDENTIALS", "false")
    with pytest.raises(SettingsError, match=rf"\A{VARIABLE}: [^\n]+\Z"):
        load(GatewaySettings)


def test_anyone_is_allowed_only_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """`*` with credentials would let any page act as the user, and stops the start."""
    monkeypatch.setenv(VARIABLE, "*")
    with pytest.raises(SettingsError, match=rf"\A{VARIABLE}: [^\n]*CREDENTIALS=false\Z"):
        load(GatewaySettings)
    monkeypatch.setenv("GATEWAY_CORS_CREDENTIALS", "false")
    assert "https://anything.example" in load(GatewaySettings).origins


@pytest.mark.parametrize("value", ["-1", "86401", "1.5", "long"])
def test_an_age_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A preflight is kept for a whole number of seconds, a day at most."""
    variable = "GATEWAY_CORS_MAX_AGE_SECONDS"
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=rf"\A{variable}: [^\n]+\Z"):
        load(GatewaySettings)
