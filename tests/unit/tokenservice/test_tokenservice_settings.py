"""What can be configured of tokenservice."""

import base64
import ipaddress
import json
import re
from pathlib import Path

import pytest

from serving.peers import Peer
from serving.settings import SettingsError, load
from tokenservice.settings import TokenServiceSettings

SECRET = "a secret of the tests, long enough."
KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what must be set, and nothing else of ours."""
    for field in TokenServiceSettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
        monkeypatch.delenv(f"{field.validation_alias}_FILE", raising=False)
    monkeypatch.setenv("LIVE_API_JWT_SECRET", SECRET)
    monkeypatch.setenv("GEMINI_API_KEY", "key")


def test_the_defaults_are_the_contracts() -> None:
    """30 minutes, at most 60, 2 to start, no custom instructions."""
    terms = load(TokenServiceSettings).terms
    assert (terms.default_duration_minutes, terms.max_duration_minutes) == (30, 60)
    assert terms.start_window_minutes == 2
    assert terms.custom_instructions is False
    assert terms.default_instruction == "You are a helpful assistant."


def test_what_is_set_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values go where they belong, each in its unit."""
    monkeypatch.setenv("LIVE_API_ALLOWED_MODELS", " gemini-9-live , gemini-3.8-live ,")
    monkeypatch.setenv("LIVE_API_DEFAULT_MODEL", "gemini-9-live")
    monkeypatch.setenv("LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS", "true")
    monkeypatch.setenv("GEMINI_ATTEMPT_TIMEOUT_MS", "1500")
    monkeypatch.setenv("TOKENSERVICE_SEAL_KEY", KEY)
    settings = load(TokenServiceSettings)
    assert [model.name for model in settings.catalogue.models] == [
        "gemini-9-live",
        "gemini-3.8-live",
    ]
    assert settings.terms.catalogue.default.name == "gemini-9-live"
    assert settings.terms.custom_instructions is True
    assert settings.gemini.attempt_timeout == 1.5
    assert settings.gemini.api_key == "key"
    assert settings.seal_key_bytes == bytes(32)


@pytest.mark.parametrize(
    "name, value",
    [
        ("LIVE_API_JWT_SECRET", "31 bytes are too few for HS256."),
        ("TOKENSERVICE_POLICY_OPERATOR_KEY", "31-characters-are-too-few-a-key"),
        ("TOKENSERVICE_POLICY_OPERATOR_KEY", "a key with spaces that is as long as it must be"),
        ("GEMINI_API_KEY", ""),
        ("GEMINI_API_VERSION", "v2"),
        ("GOOGLE_GEMINI_BASE_URL", "example.com"),
        ("GEMINI_ATTEMPTS", "0"),
        ("GEMINI_ATTEMPTS", "two"),
        ("GEMINI_ATTEMPT_TIMEOUT_MS", "99"),
        ("GEMINI_PROBE_SECONDS", "0"),
        ("GEMINI_PROBE_SECONDS", "nan"),
        ("LIVE_API_TOKEN_DURATION_MINUTES", "0"),
        ("LIVE_API_TOKEN_DURATION_MINUTES", "2.5"),
        ("LIVE_API_TOKEN_DURATION_MINUTES", "61"),
        ("LIVE_API_MAX_TOKEN_DURATION_MINUTES", "1200"),
        ("LIVE_API_SESSION_START_WINDOW_MINUTES", "0"),
        ("LIVE_API_SESSION_START_WINDOW_MINUTES", "1200"),
        ("LIVE_API_DEFAULT_MODEL", "gemini-9-live"),
        ("LIVE_API_DEFAULT_MODEL", ""),
        ("LIVE_API_ALLOWED_MODELS", " , "),
        ("LIVE_API_ALLOWED_MODELS", "../x"),
        ("LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS", "maybe"),
        ("LIVE_API_DEFAULT_SYSTEM_INSTRUCTION", ""),
        ("LIVE_API_DEFAULT_SYSTEM_INSTRUCTION", "x" * 1001),
        ("TOKENSERVICE_SEAL_KEY", "c2hvcnQ="),
        ("TOKENSERVICE_SEAL_KEY", "not base64!"),
        ("TOKENSERVICE_SEAL_KEY", "é" * 32),
        ("TOKENSERVICE_DEADLINE_MS", "999"),
        ("TOKENSERVICE_POLICY_TIMEOUT_MS", "9"),
        ("TOKENSERVICE_LISTEN", ""),
        ("TOKENSERVICE_TRUSTED_PEERS", "unix, gateway.example"),
        ("TOKENSERVICE_TRUSTED_PEERS", "10.0.0.1/8"),
        ("LIVE_API_JWT_TIER_CLAIM", ""),
        ("DRAIN_SECONDS", "soon"),
    ],
)
def test_a_wrong_value_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What does not parse or contradicts another is named, in one line, and secrets are not."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\A{re.escape(name)}: [^\n]+\Z") as refused:
        load(TokenServiceSettings)
    assert len(value) < 8 or value not in str(refused.value)


@pytest.mark.parametrize(
    "value, unix, loopback",
    [(None, True, False), ("", False, False), ("127.0.0.0/8", False, True)],
)
def test_the_peers_that_are_trusted_are_configured(
    monkeypatch: pytest.MonkeyPatch, value: str | None, *, unix: bool, loopback: bool
) -> None:
    """By default whoever reaches the Unix socket is; an empty list is nobody."""
    if value is not None:
        monkeypatch.setenv("TOKENSERVICE_TRUSTED_PEERS", value)
    peers = load(TokenServiceSettings).peers
    said = [("x-client-address", "192.0.2.1")]
    local = Peer(address=ipaddress.ip_address("127.0.0.1"))
    assert (peers.client_info(Peer(unix=True), said).address == "192.0.2.1") is unix
    assert (peers.client_info(local, said).address == "192.0.2.1") is loopback


@pytest.mark.parametrize(
    "name, listed",
    [
        ("TOKENSERVICE_SERVICES", "spiffe://example/backend"),
        ("TOKENSERVICE_DELEGATES", "service:robot, dns:backend.internal"),
        ("TOKENSERVICE_TRUSTED_PEERS", "spiffe://example/gateway"),
        ("TOKENSERVICE_TRUSTED_PEERS", "unix, dns:gateway.internal"),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_names_of_certificates_that_nobody_can_prove_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, listed: str, *, tls: bool
) -> None:
    """Without TLS, or where clients need no certificate, they would never match."""
    if tls:
        for file in ("CERT", "KEY", "CA"):
            monkeypatch.setenv(f"TOKENSERVICE_TLS_{file}_FILE", "there.pem")
        monkeypatch.setenv("TOKENSERVICE_TLS_CLIENT_AUTH", "none")
    monkeypatch.setenv(name, listed)
    with pytest.raises(SettingsError, match=rf"\A{name}: nobody can prove [^\n]+\Z"):
        load(TokenServiceSettings)
    monkeypatch.setenv("TOKENSERVICE_TLS_CLIENT_AUTH", "required")
    if tls:
        load(TokenServiceSettings)


def test_a_services_token_may_name_it_as_a_certificate_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So with an issuer of services, delegates may be named so without TLS."""
    issuer = {"issuer": "https://i.example", "audience": "us", "secret": "s" * 32}
    monkeypatch.setenv("TOKENSERVICE_ISSUERS", json.dumps([issuer | {"kind": "service"}]))
    monkeypatch.setenv("TOKENSERVICE_DELEGATES", "spiffe://example/backend")
    load(TokenServiceSettings)


def test_an_issuers_own_secret_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs leave it out wherever it stands, not only with the whole list of issuers."""
    issuers = [{"issuer": "https://i.example", "audience": "us", "secret": "s" * 32}]
    monkeypatch.setenv("TOKENSERVICE_ISSUERS", json.dumps(issuers))
    assert "s" * 32 in load(TokenServiceSettings).secrets


@pytest.mark.parametrize(
    "name, told",
    [("LIVE_API_JWT_SECRET", ", or else TOKENSERVICE_ISSUERS"), ("GEMINI_API_KEY", "")],
)
def test_a_missing_secret_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    """What has no default has to be set."""
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"^{name}: must be set{told}$"):
        load(TokenServiceSettings)


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`NAME_FILE` names a file that holds the secret; the line's end is no part of it."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET} from a file\n")
    monkeypatch.delenv("LIVE_API_JWT_SECRET")
    monkeypatch.setenv("LIVE_API_JWT_SECRET_FILE", str(file))
    assert load(TokenServiceSettings).trust.secret == f"{SECRET} from a file".encode()


def test_a_secret_in_two_places_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A secret that is set and in a file is a contradiction."""
    monkeypatch.setenv("GEMINI_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match=r"\AGEMINI_API_KEY_FILE: [^\n]+\Z"):
        load(TokenServiceSettings)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"", b"short"])
def test_a_file_that_holds_no_secret_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """A file that is missing, not text, empty or too short is named by its variable."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv("LIVE_API_JWT_SECRET")
    monkeypatch.setenv("LIVE_API_JWT_SECRET_FILE", str(file))
    with pytest.raises(SettingsError, match=r"\ALIVE_API_JWT_SECRET(_FILE)?: [^\n]+\Z"):
        load(TokenServiceSettings)


def test_secrets_are_not_shown() -> None:
    """The settings can be printed."""
    assert SECRET not in repr(load(TokenServiceSettings))


def test_a_file_of_models_is_used_as_it_was_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its aliases and modalities are in force, and a later edit changes nothing."""
    file = tmp_path / "models.json"
    file.write_text('{"models": [{"name": "new", "aliases": [{"name": "gemini-3.8-live"}]}]}')
    monkeypatch.setenv("LIVE_API_MODELS_FILE", str(file))
    monkeypatch.setenv("LIVE_API_ALLOWED_MODELS", "new")
    settings = load(TokenServiceSettings)
    file.write_text("{")
    assert settings.terms.catalogue.default.name == "new"
    assert settings.terms.catalogue.aliases == {"gemini-3.8-live": "new"}


@pytest.mark.parametrize("content", [None, "{", '{"models": []}'])
def test_a_file_of_models_that_is_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    """One line names the variable and the problem."""
    file = tmp_path / "models.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("LIVE_API_MODELS_FILE", str(file))
    with pytest.raises(SettingsError, match=r"\ALIVE_API_MODELS_FILE: [^\n]+\Z"):
        load(TokenServiceSettings)


def test_a_default_instruction_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no caller may send, no operator locks by mistake; composed as a caller's is."""
    monkeypatch.setenv("LIVE_API_DEFAULT_SYSTEM_INSTRUCTION", "cafe\u0301")
    assert load(TokenServiceSettings).terms.default_instruction == "caf\u00e9"
    monkeypatch.setenv("LIVE_API_DEFAULT_SYSTEM_INSTRUCTION", "a\x1b[31m")
    with pytest.raises(SettingsError, match="LIVE_API_DEFAULT_SYSTEM_INSTRUCTION: must be text"):
        load(TokenServiceSettings)
