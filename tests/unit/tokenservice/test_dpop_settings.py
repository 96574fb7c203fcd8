"""Whether proofs of possession are asked for, and for which URLs they must be."""

import pytest

from serving.settings import SettingsError, load
from tokenservice.settings import TokenServiceSettings


@pytest.fixture(autouse=True)
def minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what must be set, and nothing else of ours."""
    for field in TokenServiceSettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
        monkeypatch.delenv(f"{field.validation_alias}_FILE", raising=False)
    monkeypatch.setenv("LIVE_API_JWT_SECRET", "a secret of the tests, long enough.")
    monkeypatch.setenv("GEMINI_API_KEY", "key")


def test_it_is_off_by_default() -> None:
    """Nobody needs a key who has not asked for that."""
    settings = load(TokenServiceSettings)
    assert (settings.dpop, settings.dpop_origins) == ("off", ())


@pytest.mark.parametrize("value", ["optional", "required"])
def test_with_origins_it_can_be_on(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Several, where a service is known by several."""
    monkeypatch.setenv("TOKENSERVICE_DPOP", value)
    monkeypatch.setenv("TOKENSERVICE_DPOP_ORIGINS", "https://tokens.example, http://[::1]:8080/")
    settings = load(TokenServiceSettings)
    assert settings.dpop == value
    assert settings.dpop_origins == ("https://tokens.example", "http://[::1]:8080/")


@pytest.mark.parametrize("value", ["optional", "required"])
@pytest.mark.parametrize("origins", [None, "", " , "])
def test_without_origins_it_cannot_be_on(
    monkeypatch: pytest.MonkeyPatch, value: str, origins: str | None
) -> None:
    """Or a proof that another service got could be used here."""
    monkeypatch.setenv("TOKENSERVICE_DPOP", value)
    if origins is not None:
        monkeypatch.setenv("TOKENSERVICE_DPOP_ORIGINS", origins)
    with pytest.raises(SettingsError, match=r"^TOKENSERVICE_DPOP_ORIGINS: must be set"):
        load(TokenServiceSettings)


@pytest.mark.parametrize(
    "name, value",
    [
        ("TOKENSERVICE_DPOP", "on"),
        ("TOKENSERVICE_DPOP", "Required"),
        ("TOKENSERVICE_DPOP", ""),
        ("TOKENSERVICE_DPOP_ORIGINS", "tokens.example"),
        ("TOKENSERVICE_DPOP_ORIGINS", "https://tokens.example/api"),
        ("TOKENSERVICE_DPOP_ORIGINS", "https://tokens.example,*"),
        ("TOKENSERVICE_DPOP_ORIGINS", "https://*.example"),
    ],
)
def test_what_cannot_be_read_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """In one line, which names it, also while DPoP is off."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        load(TokenServiceSettings)
    assert "\n" not in str(caught.value)
